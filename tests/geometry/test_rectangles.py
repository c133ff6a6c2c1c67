import numpy as np
import pytest

from limner.geometry.rectangles import reading_order, rectangle_around

CORNERS = np.array([[1, 2], [9, 4], [8, 8], [0, 6]], float)


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("direction", [1, -1])
def test_corners_are_read_from_the_top_left(start, direction):
    np.testing.assert_array_equal(reading_order(np.roll(CORNERS, start, 0)[::direction]), CORNERS)


def test_the_rectangle_around_points_inside_it():
    inside = np.concatenate([CORNERS, [CORNERS.mean(0)]])
    np.testing.assert_allclose(rectangle_around(inside), CORNERS, atol=1e-4)
