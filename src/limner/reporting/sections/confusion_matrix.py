"""The confusion matrix as a heat map, and the largest errors."""

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


def confusion(facts: RunFacts) -> Html | None:
    """Return matrix and largest errors of each split; None for tasks about objects."""
    file = None if facts.evaluation is None else facts.evaluation.file
    if file is not None and not (file.counts_pixels or file.confusion_matrix):
        return None
    shown = [e for e in facts.evaluations if e.file.confusion_matrix is not None]
    if not shown:
        return tag("p", "No confusion matrix was written for this run.", class_="empty")
    return Html("".join(_of_split(facts, evaluation) for evaluation in shown))


def _of_split(facts: RunFacts, evaluation: Evaluation) -> Html:
    num_classes = len(evaluation.file.classes)
    if num_classes <= MOST_CLASSES:
        matrix = tag("div", tag("div", _matrix(facts, evaluation), class_="scroll"), _other_views(evaluation))
    else:
        text = f"With {num_classes} classes the matrix is too large to read here; it is in scores.json."
        matrix = tag("p", text, class_="empty")
    mistakes = _mistakes(facts, evaluation) if num_classes > 2 else None
    saved = [p for p in (f"evaluation/{evaluation.split}/confusion.{kind}" for kind in ("png", "pdf"))]
    files = [tag("code", name) for name in saved if (facts.root / name).is_file()]
    where = tag(
        "p", "As a picture: ", [(", " if i else None, f) for i, f in enumerate(files)], class_="muted"
    )
    beside = tag("div", tag("p", READING, class_="muted reading"), mistakes, where if files else None)
    return tag(
        "div",
        split_heading(facts, evaluation),
        tag("div", matrix, beside, class_="confusion" if num_classes <= 12 else "confusion wide"),
    )


def _other_views(evaluation: Evaluation) -> list[Html]:
    """Return the matrix as fractions of each predicted class, and as counts, both collapsed."""
    matrix, what = evaluation.file.confusion_matrix or [], evaluation.file.what_counts
    sums = [sum(column) for column in zip(*matrix, strict=True)]
    parts = [
        [f"{100 * n / total:.1f}" if total else MISSING for n, total in zip(row, sums, strict=True)]
        for row in matrix
    ]
    pixels = [[count(n) for n in row] for row in matrix]
    views = (
        (f"By column: true classes of the {what} predicted as each class (%)", parts),
        (f"Numbers of {what}", pixels),
    )
    return [tag("details", tag("summary", title), _plain(evaluation, rows)) for title, rows in views]


def _plain(evaluation: Evaluation, rows: list[list[str]]) -> Html:
    names = [c.name for c in evaluation.file.classes]
    head = tag(
        "tr", tag("td", "truth ↓ predicted →"), [tag("th", n, scope="col", class_="num") for n in names]
    )
    body = [
        tag("tr", tag("th", name, scope="row"), [tag("td", text, class_="num") for text in row])
        for name, row in zip(names, rows, strict=True)
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", body)), class_="scroll")


def _matrix(facts: RunFacts, evaluation: Evaluation) -> Html:
    names = [c.name for c in evaluation.file.classes]
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
            [_cell(evaluation, i, j, pixels, sum(row), is_small) for j, pixels in enumerate(row)],
        )
        for i, (name, row) in enumerate(zip(names, evaluation.file.confusion_matrix or [], strict=True))
    ]
    return tag(
        "table", tag("thead", header), tag("tbody", rows), class_="matrix" if is_small else "matrix dense"
    )


def _cell(evaluation: Evaluation, i: int, j: int, pixels: int, total: int, is_small: bool) -> Html:  # noqa: FBT001
    part = pixels / total if total else 0.0
    # Small errors matter most and would be invisible on a linear colour scale.
    depth = part if i == j else part**0.6
    names, what = evaluation.file.class_names, evaluation.file.what_counts
    meaning = f"{names[i]} predicted as {names[j]}: {count(pixels)} of {count(total)} {what}"
    text = percent(part) if is_small else (f"{part * 100:.0f}" if part >= 0.005 else "")
    return tag(
        "td",
        text if total else "–",
        tag("small", compact(pixels)) if is_small else None,
        class_=f"{'right' if i == j else 'wrong'}{' deep' if depth > 0.55 else ''}",
        style=f"--depth:{depth:.3f}",
        title=meaning,
    )


def _mistakes(facts: RunFacts, evaluation: Evaluation) -> Html:
    names = [c.name for c in evaluation.file.classes]
    found = [
        (pixels, i, j)
        for i, row in enumerate(evaluation.file.confusion_matrix or [])
        for j, pixels in enumerate(row)
        if i != j and pixels
    ]
    totals = [sum(row) for row in evaluation.file.confusion_matrix or []]
    most = MOST_MISTAKES if len(names) <= MOST_CLASSES else MOST_WITHOUT_MATRIX
    largest = sorted(found, reverse=True)[:most]
    what = evaluation.file.what_counts
    items = [
        tag(
            "li",
            tag(
                "span", swatch(facts, names[i]), names[i], " predicted as ", swatch(facts, names[j]), names[j]
            ),
            tag("span", f"{percent(pixels / totals[i])} of {names[i]}", class_="muted"),
        )
        for pixels, i, j in largest
    ]
    if not items:
        return tag("p", f"No {what.removesuffix('s')} is misclassified.", class_="empty")
    return tag("div", tag("h3", f"Largest errors, by {what}"), tag("ol", items, class_="mistakes"))
