"""Curves of classes of whole images: precision-recall, ROC, and reliability."""

from limner.core.score_names import SCORES
from limner.evaluation.scores_file import ClassRow
from limner.reporting.chart import Chart, Line, draw
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import score
from limner.reporting.run_facts import Evaluation, RunFacts
from limner.reporting.sections.class_scores import split_heading

MOST_LINES = 8
"""Number of classes whose curves are drawn: those with the lowest average precision."""


def class_curves(facts: RunFacts) -> Html | None:
    """Return the curves of each split that has them; None for other tasks."""
    shown = [e for e in facts.evaluations if e.file.counts_images and (e.class_curves or e.file.calibration)]
    return Html("".join(_of_split(facts, evaluation) for evaluation in shown)) if shown else None


def _of_split(facts: RunFacts, evaluation: Evaluation) -> Html:
    rows = [row for row in evaluation.file.classes if row.scores.get("average_precision") is not None]
    worst = sorted(rows, key=_average_precision)[:MOST_LINES]
    said = "Each class against the rest."
    if len(rows) > len(worst):
        said += f" The {len(worst)} classes of {len(rows)} with the lowest average precision are drawn."
    charts = [*_against_the_rest(evaluation, worst), *_reliability(evaluation)]
    return tag(
        "div",
        split_heading(facts, evaluation),
        tag("p", said, class_="muted") if worst else None,
        tag("div", [draw(chart) for chart in charts], class_="charts"),
    )


def _against_the_rest(evaluation: Evaluation, worst: list[ClassRow]) -> list[Chart]:
    """Return precision by recall, and recall by false positive rate."""
    precise, found = [], []
    for number, row in enumerate(worst, start=1):
        points = evaluation.class_curves.get(row.name)
        if not points:
            continue
        recall, precision = points["recall"], points["precision"]
        rate = points["false_positive_rate"]
        precise.append(Line(_label(row, "average_precision"), recall, precision, number))
        found.append(Line(_label(row, "area_under_roc"), (0.0, *rate), (0.0, *recall), number))
    if not precise:
        return []
    return [
        _chart("Precision by recall", precise, x_label="recall"),
        _chart("ROC: recall by false positive rate", found, x_label="false positive rate"),
    ]


def _reliability(evaluation: Evaluation) -> list[Chart]:
    rows = evaluation.file.calibration
    if len(rows) < 2:
        return []
    sure, right = [row.confidence for row in rows], [row.accuracy for row in rows]
    lines = [Line("observed", sure, right, 1, has_marks=True), Line("ideal", (0.0, 1.0), (0.0, 1.0), 7)]
    note = "Above the ideal line the model is underconfident, below it overconfident."
    return [_chart("Accuracy by confidence", lines, x_label="confidence", note=note)]


def _label(row: ClassRow, name: str) -> str:
    return f"{row.name}, {SCORES[name].label} {score(row.scores.get(name))}"


def _average_precision(row: ClassRow) -> float:
    return row.scores.get("average_precision") or 0.0


def _chart(title: str, lines: list[Line], *, x_label: str, note: str = "") -> Chart:
    return Chart(
        title,
        tuple(lines),
        note,
        x_label,
        show=score,
        from_zero=True,
        at_most=1.0,
        shows_last=False,
        names_single_line=True,
    )
