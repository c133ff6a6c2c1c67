import numpy as np

from limner.core.boxes import boxes_of
from limner.core.labels import LabelClass, LabelTable
from limner.core.segments import segments_of
from limner.drawing.named_objects import labelled_boxes, labelled_segments

GREY = np.full((60, 80, 3), 128, np.uint8)
GREEN, BLUE = (0, 255, 0), (0, 0, 255)


def table(*names: str) -> LabelTable:
    colors = (GREEN, BLUE)
    things = [LabelClass(name, (n + 1,), colors[n]) for n, name in enumerate(names)]
    return LabelTable((LabelClass("background", (0,), (0, 0, 0)), *things))


def halves() -> list[np.ndarray]:
    left, right = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    left[:, 10:30], right[:, 50:70] = True, True
    return [left, right]


def is_like(pixel: np.ndarray, color: tuple[int, int, int]) -> bool:
    """The tint leans towards the colour: its channels differ from grey in the same direction."""
    return bool(np.corrcoef(pixel.astype(float) - 128, np.array(color) - 128.0)[0, 1] > 0.9)


def test_objects_of_several_classes_have_the_colours_of_these() -> None:
    segments = segments_of(halves(), [1, 2], shape=(60, 80))
    drawn = labelled_segments(GREY, segments, table("a", "b"), side=80)
    assert drawn.shape == (60, 80, 3)
    assert is_like(drawn[5, 15], GREEN)
    assert is_like(drawn[5, 65], BLUE)


def test_objects_of_one_class_have_colours_of_their_own() -> None:
    rest = ~np.any(halves(), axis=0)
    segments = segments_of([*halves(), rest], [1, 1, 0], shape=(60, 80))
    drawn = labelled_segments(GREY, segments, table("cell"), side=80)
    assert np.abs(drawn[30, 20].astype(int) - drawn[30, 60]).max() > 40
    np.testing.assert_array_equal(drawn[30, 40], GREY[0, 0])  # the background stays as it is


def test_names_are_written_into_larger_objects_and_crowds_say_so() -> None:
    names = table("a", "b")
    plain = labelled_segments(GREY, segments_of(halves(), [1, 2], shape=(60, 80)), names, side=400)
    crowd = labelled_segments(
        GREY, segments_of(halves(), [1, 2], [True, False], shape=(60, 80)), names, side=400
    )
    assert (plain == 255).all(-1).any()  # white letters
    assert (crowd == 255).all(-1).sum() > 2 * (plain == 255).all(-1).sum()


def test_ignored_pixels_are_hatched() -> None:
    segments = segments_of(halves(), [1, 2], shape=(60, 80))  # in no segment at all: columns 30 to 50
    drawn = labelled_segments(np.zeros_like(GREY), segments, table("a", "b"), side=80)
    striped = drawn[:, 32:48].any(-1)
    assert 0.1 < striped.mean() < 0.6


def test_boxes_are_drawn_where_they_are() -> None:
    boxes = boxes_of([[10, 10, 30, 40], [50, 20, 70, 50]], [1, 2], None, [False, True], shape=(60, 80))
    drawn = labelled_boxes(GREY, boxes, table("a", "b"), side=160)  # twice the size
    assert drawn.shape == (120, 160, 3)
    edges = (drawn != 128).any(-1)
    assert edges[60, 20]  # left side of the first, at half its height
    assert not edges[75, 40]  # inside
    solid, dashed = drawn[21:79, 20], drawn[41:99, 100]
    assert (solid == GREEN).all(-1).mean() > 0.95
    assert 0.3 < (dashed == BLUE).all(-1).mean() < 0.8
