"""The picture of a volume: views in true proportions, and errors where they are."""

import numpy as np

from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import PLAIN, Geometry
from limner.drawing.colors import FALSE_NEGATIVE, FALSE_POSITIVE
from limner.tasks.volume_picture import draw_volume

TABLE = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("liver", (1,), (255, 0, 0))))
IMAGE = np.random.default_rng(0).normal(100, 20, (6, 20, 24, 1)).astype(np.float32)
PLACE = Geometry((4.0, 1.0, 1.0), np.diag([4.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]])


def block(first, last):
    labels = np.zeros(IMAGE.shape[:3], np.uint8)
    labels[first:last, 5:15, 5:15] = 1
    return labels


def num_of(picture, color):
    return int((picture == np.array(color, np.uint8)).all(-1).sum())


def test_errors_are_drawn_where_they_are_and_nowhere_else():
    legend_only = draw_volume(IMAGE, block(1, 5), block(1, 5), TABLE, PLACE)
    missed = draw_volume(IMAGE, block(1, 3), block(1, 5), TABLE, PLACE)
    false = draw_volume(IMAGE, block(1, 5), block(1, 3), TABLE, PLACE)
    for color, drawn, other in ((FALSE_NEGATIVE, missed, false), (FALSE_POSITIVE, false, missed)):
        key = num_of(legend_only, color)
        assert 0 < key == num_of(other, color) < num_of(drawn, color)


def test_without_truth_place_or_foreground_there_is_still_a_picture():
    nothing = np.zeros(IMAGE.shape[:3], np.uint8)
    for truth, geometry in ((None, PLACE), (None, PLAIN), (nothing, PLAIN)):
        drawn = draw_volume(IMAGE, nothing, truth, TABLE, geometry, title="case")
        assert drawn.ndim == 3 and drawn.shape[1] > drawn.shape[0] / 2


def test_the_montage_goes_along_the_thickest_slices_from_end_to_end():
    # The block is in slices 1 to 4: the picture has three views and these four slices.
    one = draw_volume(IMAGE, block(1, 5), block(1, 5), TABLE, PLACE)
    fewer = draw_volume(IMAGE, block(1, 2), block(1, 2), TABLE, PLACE)
    assert one.shape[1] > fewer.shape[1]
