"""Threshold curves of models with two classes: precision-recall, ROC, Dice and calibration."""

from limner.reporting.chart import Chart, Line, draw
from limner.reporting.markup import Html, prose, tag
from limner.reporting.numbers import score
from limner.reporting.run_facts import Evaluation, RunFacts
from limner.reporting.sections.class_scores import split_heading


def thresholds(facts: RunFacts) -> Html | None:
    """Return the curves of each split that has them; None unless the model has label maps of two classes."""
    shown = [e for e in facts.evaluations if e.file.thresholds is not None]
    file = None if facts.evaluation is None else facts.evaluation.file
    if not shown and file is not None and not (file.counts_pixels and len(file.classes) <= 2):
        return None
    if not shown:
        text = "Not measured: `limner evaluate RUN --thresholds` draws PR and ROC curves and calibration."
        return tag("p", prose(text), class_="empty")
    return Html("".join(_of_split(facts, evaluation) for evaluation in shown))


def _of_split(facts: RunFacts, evaluation: Evaluation) -> Html:
    found = evaluation.file.thresholds
    assert found is not None
    numbers = {name: score(value) for name, value in found.scores.items()}
    text = (
        f"“{found.class_name}”: average precision {numbers['average_precision']}, area under ROC "
        f"{numbers['area_under_roc']}, calibration error {numbers['calibration_error']}. The Dice is "
        f"highest, {numbers['best_dice']}, at a probability threshold of {numbers['best_threshold']}, which "
        "was selected on these images."
    )
    return tag(
        "div",
        split_heading(facts, evaluation),
        tag("p", text),
        tag("div", [draw(chart) for chart in _charts(evaluation)], class_="charts"),
    )


def _charts(evaluation: Evaluation) -> list[Chart]:
    found, curves = evaluation.file.thresholds, evaluation.curves
    assert found is not None
    charts = []
    if curves:
        recall, precision = curves["recall"][::-1], curves["precision"][::-1]
        rate, at = curves["false_positive_rate"][::-1], curves["threshold"]
        charts = [
            _chart("Precision by recall", Line("precision", recall, precision), x_label="recall"),
            _chart("ROC", Line("recall", rate, recall), x_label="false positive rate"),
            _chart("Dice by threshold", Line("Dice", at, curves["dice"]), x_label="probability"),
        ]
    if len(found.reliability) > 1:
        predicted = [row.probability for row in found.reliability]
        observed = [row.fraction for row in found.reliability]
        lines = (
            Line("observed", predicted, observed, 1, has_marks=True),
            Line("ideal", (0.0, 1.0), (0.0, 1.0), 7),
        )
        note = "Above the ideal line the model is underconfident, below it overconfident."
        charts.append(_chart("Reliability", *lines, x_label="probability", note=note))
    return charts


def _chart(title: str, *lines: Line, x_label: str, note: str = "") -> Chart:
    return Chart(title, lines, note, x_label, show=score, from_zero=True, at_most=1.0, shows_last=False)
