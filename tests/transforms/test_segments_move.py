"""Segments move exactly as a label map does, whatever the transform."""

from dataclasses import replace

import numpy as np
import pytest

from limner.core.label_map import LabelMap
from limner.core.sample import Sample
from limner.core.segments import Segments, segments_of
from limner.loading.collate import collate
from limner.transforms.flip import Flip
from limner.transforms.quarter_turn import QuarterTurn
from limner.transforms.scale_crop import CropParams, ScaleCrop

TRANSFORMS = {
    "flip": (Flip((0, 1)), 3),
    "turn": (QuarterTurn(), 1),
    "zoom in": (ScaleCrop((24, 24), scale=(1.5, 2.5)), 2),
    "zoom out": (ScaleCrop((24, 24), scale=(0.4, 0.6)), 4),
}


def sample(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    semantic = rng.integers(0, 5, (30, 30)).repeat(2, 0).repeat(2, 1)[:30, :30].astype(np.uint8)
    masks = [semantic == value for value in range(5)]
    masks.append(semantic >= 3)  # overlaps two others
    image = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
    return Sample("a", image, (LabelMap(semantic), segments_of(masks, range(6), shape=(30, 30))))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_segments_follow_the_label_map(name: str) -> None:
    transform, seed = TRANSFORMS[name]
    rng = np.random.default_rng(seed)
    for _ in range(5):
        before = sample(seed)
        after = transform.apply(before, transform.draw(rng, before))
        assert after.get(Segments) is not None
        assert after.get(LabelMap) is not None
        masks = after.get(Segments).masks()
        for value in range(5):
            np.testing.assert_array_equal(masks[value], after.get(LabelMap).labels == value)
        np.testing.assert_array_equal(masks[5], masks[3] | masks[4])


def test_no_segment_at_all_is_cropped_too() -> None:
    empty = segments_of([], [], shape=(30, 30))
    crop = ScaleCrop((8, 8)).apply(replace(sample(0), targets=(empty,)), CropParams((0, 0), (8, 8)))
    assert crop.get(Segments) is not None
    assert crop.get(Segments).masks().shape == (0, 8, 8)


def test_a_batch_holds_what_a_crop_left_and_no_crowd() -> None:
    left, right, crowd = (np.zeros((6, 8), bool) for _ in range(3))
    left[:, :3], right[:, 6:], crowd[2:4] = True, True, True
    segments = segments_of([left, right, crowd], [4, 5, 6], [False, False, True], shape=(6, 8))
    image = np.zeros((6, 8, 1), np.uint8)
    whole = Sample("a", image, (segments,))
    part = ScaleCrop((6, 4)).apply(whole, CropParams((0, 0), (6, 4)))
    none = ScaleCrop((6, 4)).apply(
        replace(whole, targets=(segments_of([], [], shape=(6, 8)),)), CropParams((0, 0), (6, 4))
    )
    batch = collate([part, none])
    assert batch.get(LabelMap) is None
    assert batch.get(Segments) is not None
    first, second = batch.get(Segments)
    assert first.labels.tolist() == [4]
    np.testing.assert_array_equal(first.masks.numpy(), [left[:, :4]])
    assert second.masks.shape == (0, 6, 4)


def test_crops_seek_segments_where_there_is_no_label_map() -> None:
    spot = np.zeros((200, 200), bool)
    spot[190:193, 5:8] = True
    far = Sample("a", np.zeros((200, 200, 1), np.uint8), (segments_of([spot], [0], shape=spot.shape),))
    crop = ScaleCrop((16, 16), foreground_probability=1.0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        cut = crop.apply(far, crop.draw(rng, far))
        assert cut.get(Segments) is not None
        assert cut.get(Segments).areas[0] > 0
