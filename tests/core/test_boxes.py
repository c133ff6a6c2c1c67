import numpy as np

from limner.core.boxes import boxes_of


def test_boxes_keep_order_and_flags() -> None:
    boxes = boxes_of([[0, 0, 2, 3], [1, 1, 1, 5]], [4, 7], [False, True], shape=(6, 9))
    assert boxes.xyxy.dtype == np.float32
    assert boxes.areas.tolist() == [6, 0]  # 2 x 3; no width
    kept = boxes.select(np.array([False, True]))
    assert (kept.labels.tolist(), kept.is_crowd.tolist(), kept.is_difficult.tolist()) == (
        [7],
        [True],
        [False],
    )
    assert len(boxes_of([], [], shape=(6, 9))) == 0
