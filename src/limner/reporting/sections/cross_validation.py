"""Folds of a cross-validation: the scores of each, with mean and spread."""

from dataclasses import dataclass
from statistics import fmean, stdev

from limner.core.score_names import Shown
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import MISSING, count, duration
from limner.reporting.run_facts import Evaluation, RunFacts
from limner.reporting.sections.class_scores import value_with_unit


@dataclass(frozen=True)
class FoldTable:
    """Scores of the folds as text.

    Attributes:
        heads: Number of images, the scores, and the time of training.
        rows: Name of each fold -> its cells; then mean and standard deviation of the scores.
    """

    heads: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]


def fold_table(facts: RunFacts) -> FoldTable | None:
    """Return the table of the folds, or None if the run is no cross-validation, or no fold has scores."""
    scored = {
        fold.root.name: (fold, found) for fold in facts.folds if (found := _validation(fold)) is not None
    }
    if not scored:
        return None
    first = next(iter(scored.values()))[1]
    names = first.shown(Shown.COMPARED)
    rows = {
        name: (
            count(found.file.num_images),
            *(value_with_unit(found.file, key, found.file.scores.get(key)) for key in names),
            MISSING if fold.seconds is None else duration(fold.seconds),
        )
        for name, (fold, found) in scored.items()
    }
    means, spreads = [], []
    for key in names:
        values = [v for _, found in scored.values() if (v := found.file.scores.get(key)) is not None]
        means.append(value_with_unit(first.file, key, fmean(values) if values else None))
        spreads.append(value_with_unit(first.file, key, stdev(values) if len(values) > 1 else None))
    rows["mean of folds"] = ("", *means, "")
    rows["standard deviation"] = ("", *spreads, "")
    return FoldTable(("Images", *(first.file.score(key).column for key in names), "Training"), rows)


def folds(facts: RunFacts) -> Html | None:
    """Return the table of the folds, each with a link to its own report."""
    found = fold_table(facts)
    if found is None:
        return None
    own = {fold.root.name for fold in facts.folds}
    head = tag("tr", tag("th", "Fold"), [tag("th", h, scope="col", class_="num") for h in found.heads])
    body = [
        tag(
            "tr",
            tag("th", tag("a", name, href=f"{name}/report.html") if name in own else name, scope="row"),
            [tag("td", cell, class_="num") for cell in cells],
        )
        for name, cells in found.rows.items()
    ]
    note = (
        "Each fold has a model of its own, and is scored on the images that this model was not trained on. "
        "The other scores on this page are of all these images together. The standard deviation shows how "
        "much a score varies with the images of a fold and the training, not the error of its mean."
    )
    table = tag("table", tag("thead", head), tag("tbody", body), class_="scores")
    return tag("div", tag("div", table, class_="scroll"), tag("p", note, class_="muted"))


def _validation(fold: RunFacts) -> Evaluation | None:
    return next((evaluation for evaluation in fold.evaluations if evaluation.split == "val"), None)
