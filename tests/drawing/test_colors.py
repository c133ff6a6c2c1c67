import numpy as np

from limner.core.labels import LabelClass, LabelTable, distinct_color
from limner.drawing.colors import (
    CONFUSED,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    HIT,
    IGNORED_COLOR,
    class_colors,
    class_keys,
    outcome_keys,
    outcome_map,
    outline_width,
    overlay,
)

TABLE = LabelTable(
    (
        LabelClass("background", (0,), (0, 0, 0)),
        LabelClass("a", (1,), (200, 0, 0)),
        LabelClass("b", (2,), (0, 0, 200)),
    )
)
NO_BACKGROUND = LabelTable((LabelClass("road", (0,), (0, 0, 0)), LabelClass("sky", (1,), (0, 0, 200))))
GREY = np.full((40, 40, 3), 100, np.uint8)


def test_overlay_leaves_the_background_and_tints_and_outlines_the_rest():
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    drawn = overlay(GREY, labels, TABLE, opacity=0.4, outline=2)
    assert (drawn[labels == 0] == 100).all()
    # 0.6 * 100 + 0.4 * 200 = 140 and 0.6 * 100 + 0 = 60
    assert drawn[20, 20].tolist() == [140, 60, 60]
    assert drawn[10, 20].tolist() == drawn[11, 20].tolist() == [200, 0, 0]
    assert drawn[12, 20].tolist() == [140, 60, 60]
    assert (overlay(GREY, labels, TABLE, outline=0)[10, 20] == [140, 60, 60]).all()
    assert (GREY == 100).all()


def test_the_border_of_the_image_is_no_outline():
    drawn = overlay(GREY, np.ones((40, 40), np.uint8), TABLE)
    assert (drawn == drawn[0, 0]).all()


def test_ignored_pixels_are_hatched_so_that_the_picture_shows_through():
    labels = np.full((40, 40), 255, np.uint8)
    drawn = overlay(GREY, labels, TABLE)
    changed = (drawn != 100).any(-1).mean()
    assert 0.2 < changed < 0.5


def test_a_black_class_that_is_no_background_can_be_seen():
    drawn = overlay(GREY, np.zeros((40, 40), np.uint8), NO_BACKGROUND)
    assert drawn[0, 0].max() > 100


def test_outcomes_by_hand():
    truth = np.array([[0, 1, 0, 1, 1, 255]], np.uint8)
    predicted = np.array([[0, 1, 1, 0, 2, 1]], np.uint8)
    drawn = outcome_map(np.full((1, 6, 3), 100, np.uint8), truth, predicted, TABLE)
    # 100 darkened by 0.45
    expected = [(45, 45, 45), HIT, FALSE_POSITIVE, FALSE_NEGATIVE, CONFUSED]
    assert [tuple(pixel) for pixel in drawn[0, :5].tolist()] == expected
    assert tuple(drawn[0, 5].tolist()) in {(45, 45, 45), IGNORED_COLOR}


def test_outcomes_without_a_background():
    truth, predicted = np.array([[0, 1, 1]], np.uint8), np.array([[0, 1, 0]], np.uint8)
    drawn = outcome_map(np.full((1, 3, 3), 100, np.uint8), truth, predicted, NO_BACKGROUND)
    assert [tuple(pixel) for pixel in drawn[0].tolist()] == [(45, 45, 45), (45, 45, 45), CONFUSED]
    assert [key.name for key in outcome_keys(NO_BACKGROUND)] == ["wrong class"]


def test_the_legend_names_what_occurs():
    labels = np.array([[0, 2, 255]], np.uint8)
    assert [(key.name, key.color) for key in class_keys(TABLE, labels)] == [
        ("b", (0, 0, 200)),
        ("ignored", IGNORED_COLOR),
    ]
    assert [key.name for key in outcome_keys(TABLE)] == ["right", "false positive", "missed", "wrong class"]


def test_outlines_suit_the_size():
    assert [outline_width((side, side)) for side in (32, 256, 1200, 2000)] == [1, 1, 2, 3]


def test_the_colors_that_are_named_are_those_that_are_painted():
    table = LabelTable((LabelClass("sky", (0,), (0, 0, 0)), LabelClass("road", (1,), (10, 90, 20))))
    picture = np.zeros((4, 4, 3), np.uint8)
    painted = overlay(picture, np.zeros((4, 4), np.uint8), table, opacity=1.0, outline=0)
    colors = class_colors(table)
    assert colors["sky"] == tuple(painted[0, 0]) != (0, 0, 0) and colors["road"] == (10, 90, 20)


def test_no_two_classes_share_a_colour():
    given = [(0, 0, 0), (0, 0, 0), (10, 0, 0), (200, 0, 0), (200, 0, 0), (0, 200, 0)]
    table = LabelTable(tuple(LabelClass(f"c{i}", (i,), color) for i, color in enumerate(given)))
    colors = class_colors(table)
    assert len(set(colors.values())) == len(given)
    assert colors["c3"] == (200, 0, 0) and colors["c5"] == (0, 200, 0)  # what is given stays where it can
    assert all(max(color) >= 32 for color in colors.values())
    many = LabelTable(tuple(LabelClass(f"c{i}", (i,), distinct_color(i)) for i in range(1200)))
    assert len(set(class_colors(many).values())) == 1200


def test_a_background_stays_black():
    names = ("background", "ink")
    table = LabelTable(tuple(LabelClass(name, (i,), (0, 0, 0)) for i, name in enumerate(names)))
    assert class_colors(table) == {"background": (0, 0, 0), "ink": (230, 159, 0)}
