"""The axis along which volumes are cut, and how their slices look to the rules."""

import numpy as np
import pytest

from limner.checks.facts import DatasetFacts, ImageFacts, Intensity
from limner.checks.volume_facts import VolumeFacts
from limner.core.picture import Geometry
from limner.planning.slicing import choose_slicing, common_codes, facts_of_slices

SLICES = {"input.spatial_dims": 2}


def facts(*spacings: tuple[float, float, float], turned: int = 0) -> DatasetFacts:
    """Volumes of 10 x 20 x 30 with a spacing (D, H, W); the last `turned` have z in the place of y."""
    images = []
    for number, spacing in enumerate(spacings):
        affine = np.diag([*spacing[::-1], 1.0])[:, [2, 1, 0, 3]]
        shape = (10, 20, 30)
        if number >= len(spacings) - turned:
            affine, shape, spacing = (
                affine[:, [1, 0, 2, 3]],
                (20, 10, 30),
                (spacing[1], spacing[0], spacing[2]),
            )
        volume = VolumeFacts.of(Geometry(spacing, affine))
        brightness = (Intensity(0, 9, 4, 1, 1, 8),)
        images.append(
            ImageFacts(
                f"c{number}",
                shape=shape,
                label_shape=shape,
                channels=1,
                intensities=brightness,
                volume=volume,
            )
        )
    return DatasetFacts(tuple(images))


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [
        *[((3, 1, 1), 0), ((1, 4, 1), 1), ((1, 1, 1.5), 2), ((1, 1, 1), 0), ((1, 1.2, 1), 1)],
        *[((1, 1.004, 1), 0), ((1, 2, 2), 1)],  # the first of those that are equal but for rounding
    ],
)
def test_volumes_are_cut_across_their_thick_slices(spacing, axis: int) -> None:
    slicing = choose_slicing(facts(spacing, spacing), SLICES)
    assert (slicing.axis, slicing.depth) == (axis, (10, 20, 30)[axis])
    assert facts_of_slices(facts(spacing), slicing).images[0].shape == tuple(
        side for place, side in enumerate((10, 20, 30)) if place != axis
    )


def test_turned_volumes_are_cut_as_the_others() -> None:
    found = facts((3, 1, 1), (3, 1, 1), (3, 1, 1), turned=1)
    assert common_codes(found) == "RAS"
    slicing = choose_slicing(found, SLICES | {"input.slice_neighbours": 2})
    flat = facts_of_slices(found, slicing)
    assert [image.shape for image in flat.images] == [(20, 30)] * 3
    assert [(image.channels, len(image.intensities)) for image in flat.images] == [(5, 5)] * 3


def test_only_those_who_ask_get_slices() -> None:
    assert choose_slicing(facts((3, 1, 1)), {}) is None
    assert choose_slicing(facts((3, 1, 1)), {"input.spatial_dims": 3}) is None
    assert choose_slicing(facts((3, 1, 1)), {"input.slice_axis": 2}).axis == 2
    assert choose_slicing(DatasetFacts((ImageFacts("a", shape=(5, 5)),)), SLICES) is None


def test_the_reason_for_the_axis_of_equal_ones_says_how_to_take_another() -> None:
    equal = choose_slicing(facts((1, 1, 1)), SLICES)
    assert "same along all axes, so the first is taken" in equal.reason
    assert "`--set input.slice_axis=1` or 2" in equal.reason
    other = choose_slicing(facts((1, 1, 1)), SLICES | {"input.slice_axis": 1})
    assert (other.axis, other.depth, other.reason) == (1, 20, "you set it")
    assert "thickest" in choose_slicing(facts((3, 1, 1)), SLICES).reason
