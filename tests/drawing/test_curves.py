import math

import numpy as np
import pytest

from limner.drawing.curves import (
    FINER,
    HEIGHT,
    LINE_COLORS,
    WIDTH,
    Curve,
    CurvePanel,
    _color,
    _x_marks,
    draw_curves,
)


def near(picture, color):
    return int((np.abs(picture.astype(int) - color).max(-1) < 12).sum())


def test_each_run_has_its_colour_in_every_panel_and_the_legend():
    panels = [
        CurvePanel("loss", [Curve("a", (0, 1, 2), (3.0, 2.0, 1.0)), Curve("b", (0, 1), (1.0, 1.5))]),
        CurvePanel("score", [Curve("b", (0, 1), (0.2, 0.4))]),
        CurvePanel("rate", [Curve("a", (5,), (0.1,))]),
    ]
    picture = draw_curves(panels, ["a", "b"])
    assert picture.shape == (2 * HEIGHT + 80, 2 * WIDTH, 3)
    left, right = picture[:HEIGHT, :WIDTH], picture[:HEIGHT, WIDTH:]
    assert near(left, LINE_COLORS[0]) and near(left, LINE_COLORS[1])
    assert near(right, LINE_COLORS[1]) and not near(right, LINE_COLORS[0])
    assert near(picture[HEIGHT : 2 * HEIGHT], LINE_COLORS[0])  # a single point is a dot


def test_a_value_that_is_not_finite_breaks_the_line():
    whole = draw_curves([CurvePanel("x", [Curve("a", range(5), (1.0, 2.0, 1.0, 2.0, 1.0))])], ["a"])
    broken = draw_curves([CurvePanel("x", [Curve("a", range(5), (1.0, 2.0, math.nan, 2.0, 1.0))])], ["a"])
    assert near(broken, LINE_COLORS[0]) < 0.75 * near(whole, LINE_COLORS[0]) and FINER > 1


@pytest.mark.parametrize(
    ("xs", "marks"),
    [
        ((1, 100, 200), [1, 100, 200]),  # not 100.5
        ((5,), [5]),
        ((1, 2), [1, 2]),
        ((0.0, 0.25), [0.0, 0.125, 0.25]),
    ],
)
def test_an_axis_of_whole_numbers_has_no_other_marks(xs, marks):
    assert _x_marks(xs) == marks


def test_more_runs_than_line_colours_have_different_ones():
    assert len({_color(number) for number in range(40)}) == 40
