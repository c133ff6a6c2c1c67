import cv2
import numpy as np
import pytest

from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.object_counts import measure_objects, object_rows
from limner.checks.reading import read_record
from limner.core.labels import LabelClass, LabelTable
from limner.formats import open_source

TABLE = LabelTable(
    (
        LabelClass("background", (0,), (0, 0, 0)),
        LabelClass("cell", (7,), (1, 2, 3)),
        LabelClass("dirt", (9,), (4, 5, 6)),
    )
)


def image(name: str, split: str, labels: list[int], areas: list[int], crowd: list[bool]) -> ImageFacts:
    objects = measure_objects(np.array(labels), np.array(areas), np.array(crowd))
    return ImageFacts(name=name, split=split, label_shape=(9, 9), shape=(9, 9), objects=objects)


def test_objects_are_counted_by_class_and_split() -> None:
    facts = DatasetFacts(
        (
            image("a", "train", [7, 7, 7, 0], [10, 20, 60, 99], [False, True, False, False]),
            image("b", "val", [7, 9], [40, 0], [False, False]),  # one that a crop has emptied
        )
    )
    (row,) = object_rows(facts, TABLE)
    assert (row.name, row.trained_as, row.counts) == ("cell", 1, {"train": 3, "val": 1})
    assert (row.images, row.crowds) == (2, 1)
    # Medians in the images are 20 and 40.
    assert (row.smallest, row.median, row.largest) == (10, 30, 60)


def test_splits_stand_in_the_usual_order() -> None:
    images = (image("a", "val", [7], [1], [False]), image("b", "extra", [7], [1], [False]))
    (row,) = object_rows(DatasetFacts((*images, image("c", "train", [7], [1], [False]))), TABLE)
    assert [*row.counts] == ["train", "val", "extra"]


def test_label_maps_have_no_objects() -> None:
    assert object_rows(DatasetFacts((ImageFacts(name="a", label_shape=(9, 9)),)), TABLE) == ()


@pytest.mark.parametrize(("column", "told"), [(1, "1 pixel in two objects or more"), (3, "")])
def test_single_masks_that_share_a_pixel(tmp_path, column: int, told: str) -> None:
    for folder in ("a/images", "a/masks"):
        (tmp_path / folder).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "a/images/a.png"), np.zeros((4, 5, 3), np.uint8))
    for name, left in (("0", 0), ("1", column)):
        mask = np.zeros((4, 5), np.uint8)
        mask[1, left : left + 2] = 255
        cv2.imwrite(str(tmp_path / f"a/masks/{name}.png"), mask)
    source = open_source(tmp_path)
    cases = read_record(source, source.records[0]).facts.label_problems
    assert [(code, found) for code, _, found, _ in cases] == ([("objects-overlap", told)] if told else [])
