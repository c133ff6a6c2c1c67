"""How found segments match true ones: F1 by IoU, how good borders are, and whether the count is right."""

from limner.reporting.chart import Chart, Line, draw
from limner.reporting.histogram import histogram
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import plural, score, significant
from limner.reporting.run_facts import Evaluation, Matches, RunFacts
from limner.reporting.sections.class_scores import split_heading

BALANCED = 0.05
"""Objects an image by which a count may be off on average and still be called right."""


def objects(facts: RunFacts) -> Html | None:
    """Return curve, histogram and count of each split; None for label maps."""
    shown = [evaluation for evaluation in facts.evaluations if evaluation.matches is not None]
    return Html("".join(_of_split(facts, evaluation) for evaluation in shown)) if shown else None


def _of_split(facts: RunFacts, evaluation: Evaluation) -> Html:
    matches = evaluation.matches
    assert matches is not None
    charts = [draw(_chart(matches)), *_borders(matches)]
    return tag(
        "div",
        split_heading(facts, evaluation),
        tag("p", _count(matches)),
        tag("div", charts, class_="charts"),
    )


def _count(matches: Matches) -> str:
    error, bias = matches.count_error, matches.count_bias
    if error is None or bias is None:
        return "No class is countable, so there is no count."
    if error == 0:
        return "The number of objects is right in every image."
    said = f"In an image {significant(error)} objects too many or too few are found, on average"
    if abs(bias) <= BALANCED:
        return f"{said}; as many images have too many as have too few."
    more = "many" if bias > 0 else "few"
    return f"{said}; on the whole {significant(abs(bias))} too {more}."


def _chart(matches: Matches) -> Chart:
    lines = (
        Line("F1", matches.ious, matches.f1, 1, has_marks=True),
        Line("precision", matches.ious, matches.precision, 3),
        Line("recall", matches.ious, matches.recall, 2),
    )
    return Chart(
        "F1 by IoU",
        lines,
        note="How much of a found object must agree with the true one for it to count as found.",
        x_label="IoU",
        show=score,
        from_zero=True,
        at_most=1.0,
        shows_last=False,
    )


def _borders(matches: Matches) -> list[Html]:
    total = sum(pairs for _, _, pairs in matches.pairs)
    if not total:
        return []
    good = sum(pairs for low, _, pairs in matches.pairs if low >= 0.75)
    bins = [(f"IoU {low:.2f} to {high:.2f}", pairs) for low, high, pairs in matches.pairs]
    text = f"{plural(total, 'pair')} at an IoU of 0.5 or more; {100 * good / total:.0f} % at 0.75 or more."
    scale = [f"{low:.1f}" for low, _, _ in matches.pairs[::2]] + ["1.0"]
    return [histogram("IoU of matched pairs", text, bins, "pair", scale)]
