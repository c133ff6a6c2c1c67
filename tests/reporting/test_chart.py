import json
import math
import re

import pytest

from limner.reporting.chart import Chart, Line, draw


def paths(html):
    return re.findall(r'<path d="([^"]*)" class="([^"]*)"', html)


def test_points_lie_where_their_values_say():
    # x from 0 to 10, y axis from 0 to 10: (5, 5) lies in the middle of the 1000 by 1000 field.
    html = draw(Chart("T", (Line("a", (0, 5, 10), (0, 5, 10)),)))
    (path,) = [d for d, kind in paths(html) if kind == "s1"]
    assert path == "M0 1000L500 500L1000 0"


def test_a_value_that_is_not_finite_breaks_the_line():
    html = draw(Chart("T", (Line("a", (0, 1, 2, 3), (0, math.nan, 4, 4)),)))
    (path,) = [d for d, kind in paths(html) if kind == "s1"]
    assert path.count("M") == 2 and "nan" not in html


def test_nothing_finite_is_said():
    assert "no finite value" in draw(Chart("T", (Line("a", (0, 1), (math.nan, math.inf)),)))


def test_one_point_and_equal_points_can_be_drawn():
    assert "<svg" in draw(Chart("T", (Line("a", (3,), (0.5,)),)))
    assert "<svg" in draw(Chart("T", (Line("a", (1, 2), (0.5, 0.5)),)))


def test_hover_values_are_the_points():
    html = draw(Chart("T", (Line("first", (0, 2000), (1, 2)), Line("", (0, 1), (1, 2), is_faint=True))))
    data = json.loads(re.search(r'data-chart="([^"]*)"', html)[1].replace("&quot;", '"'))
    (line,) = data["lines"]  # an unnamed line is only background
    assert line["label"] == "first" and line["x"] == ["0", "2,000"] and line["text"] == ["1", "2"]
    assert line["at"] == [0, 1] and line["height"] == [0, 1]


def test_scores_are_not_drawn_on_an_axis_beyond_one():
    html = draw(Chart("T", (Line("a", (0, 1), (0.3, 0.99)),), at_most=1.0))
    labels = re.findall(r'<span class="y"[^>]*>([^<]*)<', html)
    assert max(map(float, labels)) == 1


@pytest.mark.parametrize(("values", "is_log"), [((100, 1), True), ((10, 1), False), ((100, 0), False)])
def test_only_steep_positive_curves_get_a_logarithmic_axis(values, is_log):
    chart = Chart("T", (Line("a", (0, 1), values),))
    assert chart.is_logarithmic is is_log
    assert ("Logarithmic" in draw(chart)) is is_log


def test_a_screen_reader_hears_the_ends():
    assert 'aria-label="Loss: training from 3 to 1"' in draw(
        Chart("Loss", (Line("training", (0, 1, 2), (3, 2, 1)),))
    )


def test_scores_keep_an_even_scale_however_small():
    chart = Chart("T", (Line("a", (0, 1), (0.008, 0.9)),), at_most=1.0)
    assert not chart.is_logarithmic


def test_a_line_of_one_point_is_a_dot():
    html = draw(Chart("T", (Line("a", (3,), (0.5,)), Line("b", (3, 4), (0.5, 1)))))
    dots = [kind for _, kind in paths(html) if kind.startswith("dot")]
    assert dots == ["dot s1"]  # both lines have colour 1; only the first has one point
