"""The confusion matrix as a heat map, and the largest errors."""

from limner.evaluation.scores_file import Confusions
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import MISSING, compact, count, percent
from limner.reporting.run_facts import Evaluation, RunFacts
from limner.reporting.sections.class_scores import split_heading, swatch

MOST_CLASSES = 32
"""A matrix with more classes is too large to read; then only the largest errors are shown."""

MOST_MISTAKES, MOST_WITHOUT_MATRIX = 8, 24
"""Number of the largest errors to list, and the number if there is no matrix to see them in."""

READING = (
    "Each row is one true class and sums to 100\u00a0%; the columns are the predicted classes. "
    "Blue is correct, orange is wrong; the colours of small errors are emphasised."
)

OF_OBJECTS = (
    " Objects with a score of 0.5 or more count, matched at an IoU of 0.5. The column “nothing” has the "
    "objects that were missed, the row “nothing” the false ones."
)
"""What the matrix of objects means in addition."""


def confusion(facts: RunFacts) -> Html | None:
    """Return matrix and largest errors of each split; None for tasks that count neither pixels nor boxes."""
    shown = [(e, matrix) for e in facts.evaluations if (matrix := e.file.confusions) is not None]
    if shown:
        return Html("".join(_of_split(facts, evaluation, matrix) for evaluation, matrix in shown))
    if facts.evaluation is not None and not facts.evaluation.file.counts_pixels:
        return None
    return tag("p", "No confusion matrix was written for this run.", class_="empty")


def _of_split(facts: RunFacts, evaluation: Evaluation, confusions: Confusions) -> Html:
    num_classes = len(evaluation.file.classes)
    if num_classes <= MOST_CLASSES:
        matrix = tag("div", tag("div", _matrix(facts, confusions), class_="scroll"), _other_views(confusions))
    else:
        text = f"With {num_classes} classes the matrix is too large to read here; it is in scores.json."
        matrix = tag("p", text, class_="empty")
    mistakes = _mistakes(facts, confusions) if len(confusions.names) > 2 else None
    saved = [p for p in (f"evaluation/{evaluation.split}/confusion.{kind}" for kind in ("png", "pdf"))]
    files = [tag("code", name) for name in saved if (facts.root / name).is_file()]
    where = tag(
        "p", "As a picture: ", [(", " if i else None, f) for i, f in enumerate(files)], class_="muted"
    )
    reading = READING + OF_OBJECTS * (confusions.unit == "object")
    beside = tag("div", tag("p", reading, class_="muted reading"), mistakes, where if files else None)
    return tag(
        "div",
        split_heading(facts, evaluation),
        tag("div", matrix, beside, class_="confusion" if num_classes <= 12 else "confusion wide"),
    )


def _other_views(confusions: Confusions) -> list[Html]:
    """Return the matrix as fractions of each predicted class, and as counts, both collapsed."""
    matrix = confusions.counts
    sums = [sum(column) for column in zip(*matrix, strict=True)]
    parts = [
        [f"{100 * n / total:.1f}" if total else MISSING for n, total in zip(row, sums, strict=True)]
        for row in matrix
    ]
    counts = [[count(n) for n in row] for row in matrix]
    views = (
        (f"By column: true classes of the {confusions.unit}s predicted as each class (%)", parts),
        (f"{confusions.unit.capitalize()} counts", counts),
    )
    return [tag("details", tag("summary", title), _plain(confusions.names, rows)) for title, rows in views]


def _plain(names: list[str], rows: list[list[str]]) -> Html:
    head = tag(
        "tr", tag("td", "truth ↓ predicted →"), [tag("th", n, scope="col", class_="num") for n in names]
    )
    body = [
        tag("tr", tag("th", name, scope="row"), [tag("td", text, class_="num") for text in row])
        for name, row in zip(names, rows, strict=True)
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", body)), class_="scroll")


def _matrix(facts: RunFacts, confusions: Confusions) -> Html:
    names = confusions.names
    is_small = len(names) <= 6
    header = tag(
        "tr",
        tag("td", tag("span", "truth ↓ predicted →", class_="muted"), class_="corner"),
        [tag("th", tag("span", name), scope="col", class_="" if is_small else "upright") for name in names],
    )
    rows = [
        tag(
            "tr",
            tag("th", swatch(facts, name), name, scope="row"),
            [_cell(confusions, i, j, is_small=is_small) for j in range(len(row))],
        )
        for i, (name, row) in enumerate(zip(names, confusions.counts, strict=True))
    ]
    return tag(
        "table", tag("thead", header), tag("tbody", rows), class_="matrix" if is_small else "matrix dense"
    )


def _cell(confusions: Confusions, i: int, j: int, *, is_small: bool) -> Html:
    names, number, total = confusions.names, confusions.counts[i][j], sum(confusions.counts[i])
    part = number / total if total else 0.0
    # Small errors matter most and would be invisible on a linear colour scale.
    depth = part if i == j else part**0.6
    meaning = f"{names[i]} predicted as {names[j]}: {count(number)} of {count(total)} {confusions.unit}s"
    text = percent(part) if is_small else (f"{part * 100:.0f}" if part >= 0.005 else "")
    return tag(
        "td",
        text if total else "–",
        tag("small", compact(number)) if is_small else None,
        class_=f"{'right' if i == j else 'wrong'}{' deep' if depth > 0.55 else ''}",
        style=f"--depth:{depth:.3f}",
        title=meaning,
    )


def _mistakes(facts: RunFacts, confusions: Confusions) -> Html:
    names = confusions.names
    found = [
        (number, i, j)
        for i, row in enumerate(confusions.counts)
        for j, number in enumerate(row)
        if i != j and number
    ]
    totals = [sum(row) for row in confusions.counts]
    most = MOST_MISTAKES if len(names) <= MOST_CLASSES else MOST_WITHOUT_MATRIX
    largest = sorted(found, reverse=True)[:most]
    items = [
        tag(
            "li",
            tag(
                "span", swatch(facts, names[i]), names[i], " predicted as ", swatch(facts, names[j]), names[j]
            ),
            tag("span", f"{percent(number / totals[i])} of {names[i]}", class_="muted"),
        )
        for number, i, j in largest
    ]
    if not items:
        return tag("p", f"No {confusions.unit} is misclassified.", class_="empty")
    return tag(
        "div", tag("h3", f"Largest errors, by {confusions.unit}s"), tag("ol", items, class_="mistakes")
    )
