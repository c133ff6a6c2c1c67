import numpy as np

from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.objects import measure_objects, object_rows
from limner.core.labels import LabelClass, LabelTable

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


def test_label_maps_have_no_objects() -> None:
    assert object_rows(DatasetFacts((ImageFacts(name="a", label_shape=(9, 9)),)), TABLE) == ()
