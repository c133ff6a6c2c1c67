import numpy as np
import pytest

from limner.core.prediction import BoxPrediction, PanopticPrediction, SegmentPrediction
from limner.tasks.image_uncertainty import (
    CHUNK,
    differing_boxes,
    differing_masks,
    differing_segments,
    mean_binary_entropy,
    mean_entropy,
)


def test_entropy_is_0_for_certainty_and_1_for_equal_chances() -> None:
    certain = np.zeros((4, 3, 5), np.float32)
    certain[2] = 1
    assert mean_entropy(certain) == pytest.approx(0, abs=1e-6)
    assert mean_entropy(np.full((4, 3, 5), 0.25, np.float32)) == pytest.approx(1)
    assert mean_entropy(np.ones((1, 3, 5), np.float32)) == 0
    # Half of the pixels with two of four classes at 1/2: log 2 / log 4 = 1/2, so 1/4 on average.
    half = np.zeros((4, 1, 2), np.float32)
    half[:2, 0, 0], half[3, 0, 1] = 0.5, 1
    assert mean_entropy(half) == pytest.approx(0.25, abs=1e-6)


def test_entropy_of_more_pixels_than_one_chunk() -> None:
    side = int((CHUNK / 2) ** 0.5) + 3
    two = np.full((2, side, side), 0.5, np.float16)
    assert mean_entropy(two) == pytest.approx(1, abs=1e-6)


def test_entropy_of_classes_of_their_own() -> None:
    assert mean_binary_entropy(np.float32([0.5, 0, 1, 0.5])) == pytest.approx(0.5, abs=1e-6)


def objects(*columns: tuple[int, int], scores=None, labels=None) -> SegmentPrediction:
    masks = np.zeros((len(columns), 4, 20), bool)
    for mask, (first, last) in zip(masks, columns, strict=True):
        mask[:, first:last] = True
    scores = [0.9] * len(columns) if scores is None else scores
    labels = [0] * len(columns) if labels is None else labels
    return SegmentPrediction("a", masks, np.array(labels, np.int64), np.float32(scores))


def test_masks_are_compared_after_the_mirror_image_is_turned_back() -> None:
    found = objects((0, 4), (10, 14))
    assert differing_masks(found, objects((16, 20), (6, 10))) == 0
    # One object is the same; the other overlaps by 3 of 5 columns: IoUs 1 and 3/5, 1 - 1.6 / 2.
    assert differing_masks(found, objects((16, 20), (7, 11))) == pytest.approx(1 - 1.6 / 2)
    # Of two and one objects, one is the same: 1 - 1 / 1.5.
    assert differing_masks(found, objects((16, 20))) == pytest.approx(1 - 1 / 1.5)
    assert differing_masks(found, objects()) == 1
    assert differing_masks(found, objects((16, 20), (6, 10), labels=[1, 1])) == 1


def test_objects_that_are_nearly_found_make_an_image_without_objects_uncertain() -> None:
    nearly = objects((0, 4), scores=[0.4])
    assert differing_masks(nearly, objects()) == pytest.approx(0.4)
    assert differing_masks(objects(), objects()) == 0
    # Below the threshold, they are not objects.
    assert differing_masks(objects((0, 4)), objects((16, 20), (6, 10), scores=[0.9, 0.4])) == 0


def test_two_objects_on_one_place_match_one_object_once() -> None:
    twice = objects((0, 4), (0, 4))
    assert differing_masks(twice, objects((16, 20))) == pytest.approx(1 - 1 / 1.5)


def test_boxes_and_segments() -> None:
    def boxes(*xyxy: list[float]) -> BoxPrediction:
        count = len(xyxy)
        array = np.float32(xyxy).reshape(-1, 4)
        return BoxPrediction("a", array, np.zeros(count, np.int64), np.full(count, 0.9, np.float32), (4, 20))

    assert differing_boxes(boxes([0, 0, 4, 4]), boxes([16, 0, 20, 4])) == 0
    assert differing_boxes(boxes([0, 0, 4, 4]), boxes([15, 0, 19, 4])) == pytest.approx(1 - 3 / 5)
    assert differing_boxes(boxes([0, 0, 4, 4]), boxes([0, 0, 4, 4])) == 1
    assert differing_boxes(boxes(), boxes()) == 0

    def panoptic(ids: list[list[int]], labels: list[int]) -> PanopticPrediction:
        count = len(labels)
        return PanopticPrediction(
            "a", np.int32(ids), np.array(labels), np.ones(count, np.float32), np.ones(count, bool)
        )

    one = panoptic([[1, 1, 2, 2]], [0, 1])
    assert differing_segments(one, panoptic([[1, 1, 2, 2]], [1, 0])) == 0
    assert differing_segments(one, panoptic([[1, 1, 2, 2]], [0, 1])) == 1
