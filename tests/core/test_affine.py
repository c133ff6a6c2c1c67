"""Affines by hand: orientation, handedness, distances."""

import numpy as np
import pytest

from limner.core.affine import (
    axis_codes,
    grid_difference,
    is_mirrored,
    is_singular,
    largest_shift,
    reversed_axes,
    spacing_of,
)
from limner.core.picture import Geometry
from limner.transforms.turn import UNTURNED, turn_to

RAS = np.diag([1.0, 2.0, 3.0, 1.0])
"""Of the axes (x, y, z) of a file."""


@pytest.mark.parametrize(
    ("columns", "codes", "mirrored"),
    [
        ([(1, 0, 0), (0, 1, 0), (0, 0, 1)], "RAS", False),
        ([(-1, 0, 0), (0, 1, 0), (0, 0, 1)], "LAS", True),
        ([(-1, 0, 0), (0, -1, 0), (0, 0, 1)], "LPS", False),
        ([(0, 0, 1), (1, 0, 0), (0, -1, 0)], "SRP", True),
        ([(0.8, 0.6, 0), (-0.6, 0.8, 0), (0, 0, 1)], "RAS", False),
        # Nearly diagonal: each direction is used once, though x is the largest part of two axes.
        ([(0.9, 0.4, 0), (0.8, -0.6, 0), (0, 0, 1)], "RPS", True),
    ],
)
def test_axis_codes(columns, codes: str, mirrored: bool) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.transpose(columns)
    assert axis_codes(reversed_axes(affine)) == codes
    assert is_mirrored(reversed_axes(affine)) == mirrored


def test_spacing_is_in_the_order_of_the_array() -> None:
    assert spacing_of(reversed_axes(RAS)) == (3, 2, 1)


def test_shift_is_largest_at_a_corner() -> None:
    other = RAS.copy()
    other[0, 0] = 1.5  # x is stretched: at its last voxel, 9 * 0.5 mm
    assert largest_shift(reversed_axes(RAS), reversed_axes(other), (4, 5, 10)) == pytest.approx(4.5)


def test_rounding_of_headers_is_no_difference() -> None:
    affine = reversed_axes(RAS)
    first = Geometry((3.0, 2.0, 1.0), affine)
    assert not grid_difference(first, Geometry((3.0, 2.0, 1.00001), affine + 1e-4), (10, 10, 10))
    moved = affine.copy()
    moved[0, 3] = 2
    assert "origin at (2, 0, 0), 2 mm" in grid_difference(first, Geometry((3.0, 2.0, 1.0), moved), (4, 4, 4))
    assert not grid_difference(first, Geometry(), (4, 4, 4))


@pytest.mark.parametrize("column", [(0, 0, 0), (1, 0, 0), (np.nan, 0, 1)])
def test_singular_affines(column) -> None:
    affine = np.eye(4)
    affine[:3, 1] = column
    assert is_singular(affine)
    assert not is_singular(np.eye(4) * 1e-3)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SRP", "PIR", "AIL"])
def test_turns_bring_voxels_to_the_same_place(codes: str) -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(size=(3, 4, 5, 2))
    affine = np.eye(4)
    affine[:3, :3] = np.transpose([(0, -2, 0), (0, 0, 3), (-1, 0, 0)])  # x to the back, y to the head, z left
    affine = reversed_axes(affine)
    turn = turn_to(codes, affine)
    turned = turn.apply(array)
    np.testing.assert_array_equal(turn.undo(turned), array)
    # The affine of the turned array, built from where its voxels were before.
    places = turn.apply(np.moveaxis(np.indices((3, 4, 5)), 0, -1))
    origin = places[0, 0, 0]
    columns = [places[tuple(np.eye(3, dtype=int)[a])] - origin for a in range(3)]
    moved = np.eye(4)
    moved[:3, :3] = affine[:3, :3] @ np.transpose(columns)
    assert axis_codes(moved) == codes


def test_unknown_or_equal_orientation_is_kept() -> None:
    assert turn_to(None, RAS) == turn_to("RAS", reversed_axes(RAS)) == turn_to("LPS", None) == UNTURNED
