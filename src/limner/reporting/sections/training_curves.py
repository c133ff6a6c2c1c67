"""Curves of training: losses, validation scores, learning rate and step time."""

import math

from limner.core.score_names import SCORES, Shown, shown
from limner.reporting.chart import Chart, Line, draw
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import percent, score, significant, time_span
from limner.reporting.run_facts import RunFacts, Series
from limner.reporting.ticks import smooth

MOST_LINES = 8
"""Maximum number of lines in a chart."""


def curves(facts: RunFacts) -> Html:
    """Return the charts of metrics.csv."""
    if not facts.series:
        return tag(
            "p", "There is no metrics.csv in this run, so there are no curves to show.", class_="empty"
        )
    charts = (_scores(facts), _losses(facts), _classes(facts), _learning_rate(facts), _time(facts))
    return tag("div", *(draw(c) for c in charts if c is not None), class_="charts")


def _losses(facts: RunFacts) -> Chart | None:
    names = [n for n in facts.series if n.startswith(("train/loss", "val/loss"))]
    if facts.is_foreign:  # terms of the loss keep the names of their program
        names += [n for n in facts.series if n not in names and "loss" in n.lower()]
    names = names[: MOST_LINES - 1]
    if len([n for n in names if n.startswith("train/loss/")]) == 1:
        names = [n for n in names if not n.startswith("train/loss/")]  # a single term equals the total
    lines: list[Line] = []
    for color, name in enumerate(names, 1):
        series = facts.series[name]
        label = {"train/loss": "training", "val/loss": "validation"}.get(name, name.rpartition("/")[2])
        if name == "train/loss" and len(series.values) > 1:
            lines.append(Line("", series.steps, series.values, color, is_faint=True))
        lines.append(Line(label, series.steps, _smoothed(series), color))
    return Chart("Loss", tuple(lines), "Smoothed; the pale line shows the raw values.") if lines else None


def _smoothed(series: Series) -> list[float]:
    """Average over about a fortieth of the run, which shows the trend with little delay."""
    window = max(1.0, len(series.values) / 40)
    return smooth(series.values, 1 - 1 / window)


def _scores(facts: RunFacts) -> Chart | None:
    names = shown(facts.validation_curves, least=Shown.COMPARED)
    found = [(name, facts.series[f"val/{name}"]) for name in names]
    of_voxels = facts.plan is not None and facts.plan.input.takes_volumes
    rows = {name: SCORES[name].of_voxels() if of_voxels else SCORES[name] for name in names}
    lines = tuple(
        Line(rows[name].title, s.steps, s.values, color, has_marks=len(s.values) <= 60)
        for color, (name, s) in enumerate(found, 1)
    )
    if not lines:
        return None
    flag = None
    if facts.validation is not None and math.isfinite(facts.validation[1].best[0]):
        best, step = facts.validation[1].best
        flag = step, f"best {SCORES[facts.validation[0]].words} {score(best)}"
    note = "On the validation images, during training."
    return Chart("Scores", lines, note, show=score, at_most=1.0, flag=flag)


def _classes(facts: RunFacts) -> Chart | None:
    """Return the IoU of each class, or of those with the lowest final values if there are many."""
    found = [(n.removeprefix("val/iou/"), s) for n, s in facts.series.items() if n.startswith("val/iou/")]
    if len(found) < 3:
        return None  # with two classes the scores above show the same
    lowest = sorted(found, key=lambda item: item[1].values[-1])[:MOST_LINES]
    shown = found if len(found) <= MOST_LINES else lowest
    note = f"The {MOST_LINES} classes with the lowest final IoU." if len(found) > MOST_LINES else ""
    lines = tuple(
        Line(name, s.steps, s.values, color, has_marks=len(s.values) <= 60)
        for color, (name, s) in enumerate(shown, 1)
    )
    return Chart("IoU by class", lines, note or "On the validation images.", show=score, at_most=1.0)


def _learning_rate(facts: RunFacts) -> Chart | None:
    series = facts.series.get("train/learning_rate")
    if series is None:
        return None
    line = Line("learning rate", series.steps, series.values, 1)
    note = f"Maximum: {significant(max(series.values))}."
    return Chart("Learning rate", (line,), note, from_zero=True)


def _time(facts: RunFacts) -> Chart | None:
    step, data = facts.series.get("train/step_seconds"), facts.series.get("train/data_seconds")
    if step is None or data is None:
        return None
    lines = (
        Line("whole step", step.steps, _smoothed(step), 1),
        Line("waiting for data", data.steps, _smoothed(data), 2),
    )
    total = sum(step.values)
    note = f"Waiting for data took {percent(sum(data.values) / total)} of the time." if total > 0 else ""
    return Chart("Time per step", lines, note, show=time_span, show_tick=time_span, from_zero=True)
