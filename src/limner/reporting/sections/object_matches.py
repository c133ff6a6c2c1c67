"""Matching of predicted and true objects: F1 by IoU, IoU of matched pairs, and counting errors."""

import math
from collections.abc import Iterable

from limner.evaluation.scores_file import ScoresFile
from limner.reporting.chart import Chart, Line, draw
from limner.reporting.histogram import histogram
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import plural, score, significant
from limner.reporting.run_facts import Evaluation, RunFacts
from limner.reporting.sections.class_scores import split_heading

BALANCED = 0.05
"""Maximum mean counting error (objects per image, with sign) that counts as unbiased."""


def objects(facts: RunFacts) -> Html | None:
    """Return curve, histogram and counting error of each split; None for label maps."""
    shown = [evaluation for evaluation in facts.evaluations if evaluation.file.f1_by_iou]
    return Html("".join(_of_split(facts, evaluation) for evaluation in shown)) if shown else None


def _of_split(facts: RunFacts, evaluation: Evaluation) -> Html:
    charts = [draw(_chart(evaluation.file)), *_froc(evaluation.file), *_borders(evaluation.file)]
    return tag(
        "div",
        split_heading(facts, evaluation),
        tag("p", _count(evaluation.file)),
        tag("div", charts, class_="charts"),
    )


def _count(file: ScoresFile) -> str:
    error, bias = file.scores.get("count_error"), file.scores.get("count_bias")
    if error is None or bias is None:
        return "No class is countable, so there is no count."
    if error == 0:
        return "The number of objects is correct in every image."
    said = f"On average, the number of objects in an image is off by {significant(error)}"
    if abs(bias) <= BALANCED:
        return f"{said}; overall it is neither too high nor too low."
    direction = "high" if bias > 0 else "low"
    return f"{said}; overall it is {significant(abs(bias))} too {direction}."


def _chart(file: ScoresFile) -> Chart:
    rows = file.f1_by_iou
    ious = [row.iou for row in rows]
    lines = (
        Line("F1", ious, _values(row.f1 for row in rows), 1, has_marks=True),
        Line("precision", ious, _values(row.precision for row in rows), 3),
        Line("recall", ious, _values(row.recall for row in rows), 2),
    )
    return Chart(
        "F1 by IoU",
        lines,
        note="The IoU is the overlap with a true object that a prediction needs to count as correct.",
        x_label="IoU",
        show=score,
        from_zero=True,
        at_most=1.0,
        shows_last=False,
    )


def _froc(file: ScoresFile) -> list[Html]:
    """Return the FROC curve of boxes."""
    if not any(row.sensitivity is not None for row in file.froc_curve):
        return []
    numbers = [row.false_positives for row in file.froc_curve]
    line = Line(
        "objects found", numbers, _values(row.sensitivity for row in file.froc_curve), 2, has_marks=True
    )
    chart = Chart(
        "FROC",
        (line,),
        note="The fraction of objects found, by the tolerated number of false ones per image.",
        x_label="false objects per image",
        show=score,
        from_zero=True,
        at_most=1.0,
        shows_last=False,
    )
    return [draw(chart)]


def _values(scores: Iterable[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in scores]


def _borders(file: ScoresFile) -> list[Html]:
    bars = file.matched_iou
    total = sum(bar.pairs for bar in bars)
    if not total:
        return []
    good = sum(bar.pairs for bar in bars if bar.low >= 0.75)
    bins = [(f"IoU {bar.low:.2f} to {bar.high:.2f}", bar.pairs) for bar in bars]
    text = f"{plural(total, 'pair')} at an IoU of 0.5 or more; {100 * good / total:.0f} % at 0.75 or more."
    scale = [f"{bar.low:.1f}" for bar in bars[::2]] + ["1.0"]
    return [histogram("IoU of matched pairs", text, bins, "pair", scale)]
