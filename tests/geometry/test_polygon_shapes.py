import numpy as np
import pytest

from limner.geometry.polygon_shapes import area_and_length, grown, overlap_areas, untangled

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)
BOW_TIE = SQUARE[[0, 2, 1, 3]]


def test_areas_of_overlap_do_not_depend_on_the_direction_of_rotation():
    moved, far = SQUARE[::-1] + [2, 1], SQUARE + 100
    shared, ours, theirs = overlap_areas([SQUARE], [moved, far])
    assert shared.tolist() == [[2 * 3, 0]]
    assert (ours.tolist(), theirs.tolist()) == ([16], [16, 16])


@pytest.mark.parametrize(("first", "second"), [([], [SQUARE]), ([SQUARE], []), ([], [])])
def test_nothing_overlaps_with_nothing(first, second):
    assert overlap_areas(first, second)[0].shape == (len(first), len(second))


def test_a_grown_square_has_round_corners():
    area, length = area_and_length(grown(SQUARE, 1))
    # 4 sides of 4 x 1 and a disc of radius 1 around the square; the disc is drawn as 32 straight lines.
    assert area == pytest.approx(16 + 4 * 4 + np.pi, rel=1e-3)
    assert length == pytest.approx(16 + 2 * np.pi, rel=1e-3)
    assert area_and_length(grown(SQUARE[::-1], 1))[0] == pytest.approx(area)


def test_a_hole_that_closes_is_filled_and_the_largest_part_is_kept():
    ring = np.array([[0, 0], [9, 0], [9, 9], [0, 9], [0, 5], [6, 5], [6, 4], [0, 4]], float)
    assert area_and_length(grown(ring, 0.6))[0] == pytest.approx(81 + 36 * 0.6 + np.pi * 0.36, rel=1e-3)


def test_four_corners_in_a_wrong_order_are_put_in_order():
    assert area_and_length(untangled(BOW_TIE))[0] == 16
    assert {tuple(point) for point in untangled(BOW_TIE)} == {tuple(point) for point in SQUARE}
    assert untangled(SQUARE) is SQUARE


def test_of_a_longer_outline_that_crosses_itself_the_largest_loop_is_kept():
    # A square of 4 x 4, then a triangle beyond its corner.
    outline = np.array([[0, 0], [4, 0], [4, 5], [5, 4], [0, 4]], float)
    fixed = untangled(outline)
    assert untangled(fixed) is fixed
    assert area_and_length(fixed)[0] == pytest.approx(16)
