import numpy as np

from limner.core.boxes import boxes_of
from limner.drawing.box_comparison import boxes_found_and_missed
from limner.drawing.colors import FALSE_NEGATIVE, FALSE_POSITIVE, HIT

SHAPE = (80, 80)
BLACK = np.zeros((*SHAPE, 3), np.uint8)


def shown(truth, predicted):
    """Return the colour at the first corner of each predicted box, then of each true one."""
    picture = boxes_found_and_missed(BLACK, truth, predicted)
    corners = [*predicted.xyxy[:, :2].astype(int).tolist(), *truth.xyxy[:, :2].astype(int).tolist()]
    return [tuple(picture[y, x].tolist()) for x, y in corners]


def test_an_object_is_found_once_and_by_its_best_box():
    truth = boxes_of([[10, 10, 30, 30], [50, 50, 70, 70]], [0, 0], shape=SHAPE)
    predicted = boxes_of([[9, 9, 29, 29], [12, 13, 31, 32], [52, 10, 70, 28]], [0, 0, 0], shape=SHAPE)
    assert shown(truth, predicted)[:3] == [HIT, FALSE_POSITIVE, FALSE_POSITIVE]
    assert shown(truth, predicted)[4] == FALSE_NEGATIVE


def test_what_is_found_in_a_crowd_or_on_a_difficult_object_is_left_out():
    truth = boxes_of([[0, 0, 79, 40], [10, 50, 30, 70]], [0, 0], [True, False], [False, True], shape=SHAPE)
    predicted = boxes_of([[20, 10, 30, 20], [11, 51, 30, 70], [50, 50, 70, 70]], [0, 0, 0], shape=SHAPE)
    assert shown(truth, predicted)[:3] == [(0, 0, 0), (0, 0, 0), FALSE_POSITIVE]
