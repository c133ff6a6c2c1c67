import numpy as np
import pytest

from limner.core.errors import ConfigError, DataError
from limner.core.labels import LabelClass, LabelTable
from limner.core.segments import Segments, segments_of, segments_of_index


def boxes(*corners: tuple[int, int, int, int], shape: tuple[int, int] = (8, 9)) -> list[np.ndarray]:
    masks = []
    for top, left, bottom, right in corners:
        mask = np.zeros(shape, bool)
        mask[top:bottom, left:right] = True
        masks.append(mask)
    return masks


def test_overlapping_masks_come_back_whole_from_few_layers() -> None:
    # The second overlaps the first; the third fits beside the first; the fourth is empty.
    masks = boxes((0, 0, 4, 4), (2, 2, 6, 6), (5, 0, 8, 2), (0, 0, 0, 0))
    segments = segments_of(masks, [7, 3, 7, 1], shape=(8, 9))
    assert segments.layers.shape == (2, 8, 9)
    assert segments.layers.dtype == np.uint8
    np.testing.assert_array_equal(segments.masks(), masks)
    assert segments.areas.tolist() == [16, 16, 6, 0]


def test_pixels_of_several_segments() -> None:
    # The first two share 2 x 2 pixels, and the third lies in one of these.
    masks = boxes((0, 0, 4, 4), (2, 2, 6, 6), (3, 3, 4, 4), (6, 0, 8, 2))
    assert segments_of(masks, [0] * 4, shape=(8, 9)).shared_pixels == 4
    assert segments_of(masks[2:], [0] * 2, shape=(8, 9)).shared_pixels == 0


def test_the_smaller_one_lies_on_top() -> None:
    segments = segments_of(boxes((0, 0, 6, 6), (2, 2, 4, 4)), [0, 0], shape=(8, 9))
    flat = segments.flat()
    assert (flat == 2).sum() == 4
    assert (flat == 1).sum() == 32


def test_in_a_batch_each_pixel_has_the_number_of_its_topmost_segment() -> None:
    masks = boxes((0, 0, 6, 6), (2, 2, 4, 4), (0, 6, 1, 8), (5, 0, 8, 2))
    crowd, heights = [False, False, False, True], [1, 0, 0, 2]
    segments = segments_of(masks, [4, 5, 6, 4], crowd, shape=(8, 9), heights=heights)
    (batched,) = Segments.stack([segments.select(np.array([True, True, True, True]))])
    assert batched.labels.tolist() == [4, 5, 6]
    top = batched.top.numpy()
    assert top[3, 3] == 1  # the larger one is higher
    assert top[0, 7] == 3 and top[7, 8] == 0
    assert (top[5:8, 0:2] == -1).all()  # a crowd, also where it lies on another


def test_more_than_255_segments_keep_their_numbers() -> None:
    numbers = np.arange(1, 301).reshape(20, 15)
    segments = segments_of_index(numbers, [0] * 300)
    assert segments.layers.dtype == np.uint16
    assert segments.select(np.arange(300) >= 298).areas.tolist() == [1, 1]


def test_kept_numbers_anew_and_leaves_at_least_one_layer() -> None:
    masks = boxes((0, 0, 4, 4), (2, 2, 6, 6), (5, 0, 8, 2))
    segments = segments_of(masks, [4, 5, 6], [False, True, False], shape=(8, 9))
    kept = segments.select(np.array([False, True, True]))
    assert kept.labels.tolist() == [5, 6]
    assert kept.is_crowd.tolist() == [True, False]
    np.testing.assert_array_equal(kept.masks(), masks[1:])
    none = segments.select(np.zeros(3, bool))
    assert none.masks().shape == (0, 8, 9)
    assert none.layers.shape == (1, 8, 9)


TABLE = LabelTable(
    (
        LabelClass("sky", (11,), (0, 0, 9), is_thing=False),
        LabelClass("car", (5, 6), (9, 0, 0), is_thing=True),
    ),
    ignored_values=(0,),
)


def test_mask_values_become_trained_labels_and_ignored_ones_go() -> None:
    segments = segments_of(boxes((0, 0, 1, 1), (1, 1, 2, 2), (2, 2, 3, 3)), [6, 0, 11], shape=(8, 9))
    assert TABLE.encode_segments(segments).labels.tolist() == [1, 0]
    things = TABLE.things()
    assert things.names == ("car",)
    assert things.encode_segments(segments).labels.tolist() == [0]


def test_unknown_values_are_refused_with_their_file() -> None:
    segments = segments_of(boxes((0, 0, 1, 1)), [12], shape=(8, 9))
    with pytest.raises(DataError, match=r"b\.json.*\[12\]"):
        TABLE.encode_segments(segments, where="b.json")


def test_what_is_countable_where_nobody_said() -> None:
    table = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("cell", (1,), (9, 9, 9))))
    assert table.is_thing.tolist() == [False, True]
    stuff = LabelTable((LabelClass("sky", (1,), (0, 0, 9), is_thing=False),))
    with pytest.raises(ConfigError, match="is_thing: true"):
        stuff.things()
