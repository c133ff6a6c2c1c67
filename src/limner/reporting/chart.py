"""Line charts as inline SVG that stay sharp and readable at any width.

The SVG contains only lines and is stretched to the width of the page, with strokes that do not scale. All
text is HTML on top of it, so that letters keep their size on a phone. The values are also stored in a data
attribute, from which the page's script shows the ones under the pointer.
"""

import json
import math
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from limner.reporting.markup import Html, tag
from limner.reporting.numbers import significant
from limner.reporting.ticks import decades, nice_ticks, thin

MOST_POINTS = 360
"""Maximum number of points per line, about one for every two pixels of a wide screen."""

NUM_HUES = 8
"""Number of line colours in the style sheet."""

ROUNDING = 1.000001
"""Tolerance for a tick at the end of an axis, so that rounding errors do not drop it."""

SIZE = 1000.0
"""Width and height of the SVG in its own coordinates, before stretching."""


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        label: Name in the legend; an empty one is shown neither there nor under the pointer.
        xs: Increasing x values.
        ys: y values; one that is not finite breaks the line.
        color: Colour number from 1; those above 8 repeat the colours with dashes, and above 16 with dots.
        is_faint: Whether to draw it pale and thin, as the background of a smoothed line.
        has_marks: Whether to draw a dot at every point.
        is_joined: Whether to join the points by a line; otherwise only dots are drawn.
    """

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    color: int = 1
    is_faint: bool = False
    has_marks: bool = False
    is_joined: bool = True


@dataclass(frozen=True)
class Chart:
    """A titled set of lines over a common x axis.

    Attributes:
        title: Heading.
        lines: At least one with a finite point.
        note: A sentence under the title, or an empty string.
        x_label: Label of the x axis.
        show: Formats a y value under the pointer and in the legend.
        show_tick: Formats a tick of the y axis.
        from_zero: Whether the y axis starts at 0.
        at_most: Upper bound of the y axis, such as 1 for scores.
        flag: A marked x value, and its text.
        shows_last: Whether the legend shows the last value of each line, which for a curve over time is the
            result.
        x_logarithmic: Whether the x axis is logarithmic; every x must be positive.
        names_single_line: Whether there is a legend even for one line, because the title does not name it.
    """

    title: str
    lines: tuple[Line, ...]
    note: str = ""
    x_label: str = "step"
    show: Callable[[float], str] = significant
    show_tick: Callable[[float], str] = significant
    from_zero: bool = False
    at_most: float | None = None
    flag: tuple[float, str] | None = None
    shows_last: bool = True
    x_logarithmic: bool = False
    names_single_line: bool = False

    @property
    def finite(self) -> list[float]:
        """All finite y values."""
        return [y for line in self.lines for y in line.ys if math.isfinite(y)]

    @property
    def is_logarithmic(self) -> bool:
        """Whether the y axis is logarithmic, because a linear one would flatten most of the curve."""
        if self.from_zero or self.at_most is not None:  # people expect a linear scale for scores
            return False
        return min(self.finite) > 0 and max(self.finite) > 50 * min(self.finite)


def draw(chart: Chart) -> Html:
    """Return the chart as a figure, or a note if it has no finite point."""
    heading = tag("h3", chart.title)
    if not chart.finite:
        return tag("figure", heading, tag("p", "There is no finite value to draw.", class_="empty"))
    axes = _Axes.of(chart)
    legend = _legend(chart) if len(chart.lines) > 1 or chart.names_single_line else None
    note = chart.note + (" Logarithmic scale." if chart.is_logarithmic else "")
    return tag(
        "figure",
        tag("figcaption", heading, tag("p", note, class_="muted") if note else None, legend),
        tag(
            "div",
            *axes.words(chart),
            _svg(chart, axes),
            tag("div", class_="cursor", hidden=True),
            class_="plot",
        ),
        class_="chart",
        data_chart=json.dumps(_hover_values(chart, axes), separators=(",", ":")),
        tabindex="0",
        role="img",
        aria_label=_aria_label(chart),
    )


@dataclass(frozen=True)
class _Axes:
    """Positions of values as fractions of the plot's width and height."""

    x_low: float
    x_high: float
    y_ticks: tuple[float, ...]
    logarithmic: bool
    x_logarithmic: bool = False
    x_whole: bool = False

    @classmethod
    def of(cls, chart: Chart) -> "_Axes":
        xs = [x for line in chart.lines for x in line.xs]
        low, high = min(chart.finite), max(chart.finite)
        if chart.is_logarithmic:
            ticks = decades(low, high)
        else:
            ticks = nice_ticks(0.0 if chart.from_zero else low, high)
        if chart.at_most is not None and high <= chart.at_most:
            ticks = tuple(t for t in ticks if t <= chart.at_most + 1e-9)
        first, last = min(xs), max(xs)
        if chart.x_logarithmic:
            return cls(first, last, ticks, chart.is_logarithmic, x_logarithmic=True)
        # A run logged from its start gets an axis that starts at zero.
        low = 0.0 if 0 < first <= 0.15 * last else first
        are_whole = last > 1 and all(float(x).is_integer() for x in xs)
        return cls(low, last, ticks, chart.is_logarithmic, x_whole=are_whole)

    def x(self, value: float) -> float:
        low, high = self.x_low, self.x_high
        if self.x_logarithmic:
            value, low, high = math.log10(value), math.log10(low), math.log10(high)
        return (value - low) / (high - low) if high > low else 0.5

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        if self.logarithmic:
            value, low, high = math.log10(value), math.log10(low), math.log10(high)
        return (value - low) / (high - low)

    @property
    def x_ticks(self) -> list[float]:
        if self.x_high <= self.x_low:
            return [self.x_low]
        if self.x_logarithmic:
            low, high = self.x_low / ROUNDING, self.x_high * ROUNDING
            every = [t for t in decades(self.x_low, self.x_high) if low <= t <= high]
            return every[:: 1 + len(every) // 7] if len(every) > 1 else [self.x_low, self.x_high]
        inside = [t for t in nice_ticks(self.x_low, self.x_high) if self.x_low <= t <= self.x_high]
        if self.x_whole:
            inside = [t for t in inside if t.is_integer()]
        return inside or [self.x_low, self.x_high]

    def words(self, chart: Chart) -> list[Html]:
        beside = [
            tag("span", chart.show_tick(t), class_="y", style=f"bottom:{self.y(t):.2%}") for t in self.y_ticks
        ]
        below = [tag("span", f"{t:,.10g}", class_="x", style=f"left:{self.x(t):.2%}") for t in self.x_ticks]
        flag = []
        if chart.flag is not None:
            place = self.x(chart.flag[0])
            # The text goes on the side of the mark that has more space.
            style = f"left:{place:.2%}" if place < 0.5 else f"right:{1 - place:.2%}"
            flag = [tag("span", chart.flag[1], class_="flag", style=style)]
        return [*beside, *below, *flag, tag("span", chart.x_label, class_="axis")]


def _svg(chart: Chart, axes: _Axes) -> Html:
    def px(x: float) -> float:
        return round(axes.x(x) * SIZE, 1)

    def py(y: float) -> float:
        return round((1 - axes.y(y)) * SIZE, 1)

    grid = [tag("path", d=f"M0 {py(t):g}H{SIZE:g}", class_="grid") for t in axes.y_ticks]
    grid += [tag("path", d=f"M{px(t):g} 0V{SIZE:g}", class_="grid") for t in axes.x_ticks]
    if chart.flag is not None:
        grid.append(tag("path", d=f"M{px(chart.flag[0]):g} 0V{SIZE:g}", class_="flag"))
    drawn = [
        tag(
            "path", d=_path(line, px, py), class_=f"{style_of(line.color)}{' faint' if line.is_faint else ''}"
        )
        for line in chart.lines
        if line.is_joined
    ]
    # A zero-length line with round caps is a dot that stays round when the picture is stretched.
    dots = [
        tag(
            "path",
            d="".join(f"M{px(x):g} {py(y):g}h0" for x, y in _points(line)),
            class_=f"dot s{_hue(line.color)}",
        )
        for line in chart.lines
        if line.has_marks or len(_points(line)) == 1  # a line with one point is invisible
    ]
    return tag("svg", grid, drawn, dots, viewBox=f"0 0 {SIZE:g} {SIZE:g}", preserveAspectRatio="none")


def style_of(color: int) -> str:
    """Return the CSS classes of a colour number: its hue, and dashes or dots where the hues repeat."""
    round_of_hues = min((color - 1) // NUM_HUES, 2)
    return f"s{_hue(color)}{('', ' dashed', ' dotted')[round_of_hues]}"


def _hue(color: int) -> int:
    return (color - 1) % NUM_HUES + 1


def _points(line: Line) -> list[tuple[float, float]]:
    indices = thin(line.ys, MOST_POINTS)
    return [(line.xs[i], line.ys[i]) for i in indices if math.isfinite(line.ys[i])]


def _path(line: Line, px: Callable[[float], float], py: Callable[[float], float]) -> str:
    indices = thin(line.ys, MOST_POINTS)
    gaps = [i for i, y in enumerate(line.ys) if not math.isfinite(y)]
    path = ""
    previous = -1
    for i in indices:
        if not math.isfinite(line.ys[i]):
            continue
        broken = previous < 0 or bisect(gaps, previous) != bisect(gaps, i)
        path += f"{'M' if broken else 'L'}{px(line.xs[i]):g} {py(line.ys[i]):g}"
        previous = i
    return path


def _legend(chart: Chart) -> Html:
    entries = []
    for line in chart.lines:
        points = _points(line)
        if line.label and points:
            value = tag("b", chart.show(points[-1][1])) if chart.shows_last else None
            entries.append(tag("li", tag("i", class_=style_of(line.color)), f"{line.label} ", value))
    return tag("ul", entries, class_="legend")


def _hover_values(chart: Chart, axes: _Axes) -> dict[str, object]:
    named = [(line, _points(line)) for line in chart.lines if line.label]
    return {
        "x": chart.x_label,
        "lines": [
            {
                "label": line.label,
                "color": _hue(line.color),
                "at": [round(axes.x(x), 4) for x, _ in points],
                "height": [round(axes.y(y), 4) for _, y in points],
                "x": [f"{x:,.10g}" for x, _ in points],
                "text": [chart.show(y) for _, y in points],
            }
            for line, points in named
        ],
    }


def _aria_label(chart: Chart) -> str:
    parts = []
    for line in chart.lines:
        points = _points(line)
        if line.label and points:
            parts.append(f"{line.label} from {chart.show(points[0][1])} to {chart.show(points[-1][1])}")
    return f"{chart.title}: {'; '.join(parts)}"
