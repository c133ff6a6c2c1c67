import numpy as np

from limner.core.labels import LabelClass, LabelTable
from limner.drawing.labelled import labelled, write_names

TABLE = LabelTable(
    (
        LabelClass("background", (0,), (0, 0, 0)),
        LabelClass("left", (1,), (255, 0, 0)),
        LabelClass("right", (2,), (0, 0, 255)),
    )
)
GREY = np.full((120, 200, 3), 100, np.uint8)


def halves() -> np.ndarray:
    labels = np.zeros((120, 200), np.uint8)
    labels[20:100, 5:95], labels[20:100, 105:195] = 1, 2
    return labels


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before != after).any(axis=2)


def test_names_stand_inside_their_regions() -> None:
    written = changed(GREY, write_names(GREY, halves(), TABLE))
    assert written[:, :100].any()
    assert written[:, 100:].any()
    assert not written[:20].any()
    assert not written[100:].any()


def test_no_name_for_background_ignored_or_specks() -> None:
    labels = np.zeros((120, 200), np.uint8)
    labels[0, 0], labels[50:] = 1, 255
    np.testing.assert_array_equal(write_names(GREY, labels, TABLE), GREY)


def test_a_name_never_covers_another() -> None:
    labels = np.zeros((120, 200), np.uint8)
    labels[40:60, 60:140], labels[60:70, 60:140] = 1, 2
    alone = np.where(labels == 2, 0, labels).astype(np.uint8)
    np.testing.assert_array_equal(write_names(GREY, labels, TABLE), write_names(GREY, alone, TABLE))
    assert changed(GREY, write_names(GREY, alone, TABLE)).any()


def test_sides_and_small_images() -> None:
    image, labels = GREY[:12, :20], halves()[:12, :20]
    assert labelled(image, labels, TABLE, side=100).shape == (60, 100, 3)
    assert labelled(GREY, halves(), TABLE, side=100).shape == (60, 100, 3)
    plain = labelled(GREY, None, TABLE, side=200)
    np.testing.assert_array_equal(plain, GREY)
    tinted = labelled(GREY, halves(), TABLE, side=200, names=False)
    red, blue = tinted[60, 50].astype(int), tinted[60, 150].astype(int)
    assert red[0] > red[2]
    assert blue[2] > blue[0]
