"""Scores per class."""

from limner.core.score_names import LENGTH, SCORES, VOLUME, Shown
from limner.evaluation.scores_file import ClassRow, ScoresFile, complete, worst_first
from limner.reporting.markup import Html, prose, tag
from limner.reporting.numbers import MISSING, count, percent, plural, score, significant
from limner.reporting.run_facts import Evaluation, RunFacts

FEW_CLASSES = 8
"""Up to this number of classes, rows keep the trained order and their height."""

MOST_ABSENT = 10
"""Up to this number of classes without a score, label maps have a row for each."""

MANY_COLUMNS = 10
"""From this number of columns, headings are wrapped, and the table may be wider than the text."""

MANY_CLASSES = 30
"""Number of rows from which a table can be searched."""


def classes(facts: RunFacts) -> Html:
    """Return a table of the classes for each evaluated split."""
    if not facts.evaluations:
        return tag("p", prose("Not evaluated yet: run `limner evaluate RUN`."), class_="empty")
    return Html("".join(_of_split(facts, evaluation) for evaluation in facts.evaluations))


def split_heading(facts: RunFacts, evaluation: Evaluation) -> Html | None:
    """Return the name of a split as a heading if more than one was evaluated."""
    return tag("h3", f"Split “{evaluation.split}”", class_="split") if len(facts.evaluations) > 1 else None


def swatch(facts: RunFacts, name: str) -> Html | None:
    """Return a swatch in the colour of a class; None if it is unknown, or if nothing is drawn in it."""
    if facts.evaluation is not None and facts.evaluation.file.counts_images:
        return None
    color = facts.colors.get(name)
    return None if color is None else tag("i", class_="swatch", style=f"background:{color}")


def _of_split(facts: RunFacts, evaluation: Evaluation) -> Html:
    file = evaluation.file
    present = file.present_classes
    absent = {*file.class_names} - {row.name for row in present}
    # Datasets may have a hundred or a thousand classes, most of them absent; of label maps, a few are shown.
    shows_absent = file.counts_pixels and len(absent) <= MOST_ABSENT
    rows = file.classes if shows_absent or not present else present
    if file.counts_images and len(rows) > FEW_CLASSES:
        rows = worst_first(rows)
    means = _means(file)
    whole = ", ".join(
        f"{file.score(name).title} {value_with_unit(file, name, file.scores[name])}"
        for name in evaluation.shown(Shown.LISTED)
        if name.removeprefix("mean_").removeprefix("macro_") not in means
    )
    return tag(
        "div",
        split_heading(facts, evaluation),
        _search(len(rows)),
        tag("div", _table(facts, file, rows, means), class_="scroll"),
        tag("p", f"Over all {file.what_counts}: {whole}.", class_="muted") if whole else None,
        _absent([name for name in file.class_names if name in absent], are_rows=rows is file.classes),
        _spread(evaluation),
    )


def _means(file: ScoresFile) -> dict[str, float | None]:
    """Return column -> its mean over the classes, for the columns that have one."""
    return {
        name: file.scores[f"{kind}_{name}"]
        for name in file.class_columns
        for kind in ("mean", "macro")
        if f"{kind}_{name}" in file.scores
    }


def _table(facts: RunFacts, file: ScoresFile, rows: list[ClassRow], means: dict[str, float | None]) -> Html:
    columns = file.class_columns
    head = tag(
        "tr",
        tag("th", "Class", scope="col"),
        [tag("th", _head(file, name), scope="col", class_="num") for name in columns],
    )
    foot = tag(
        "tr",
        tag("th", "Mean", scope="row"),
        [
            tag("td", number_text(file, name, means[name]) if name in means else None, class_="num")
            for name in columns
        ],
    )
    return tag(
        "table",
        tag("thead", head),
        tag("tbody", [_row(facts, file, row, columns) for row in rows]),
        tag("tfoot", foot) if means else None,
        class_=_table_class(len(rows), len(columns)),
    )


def _table_class(num_rows: int, num_columns: int) -> str:
    many = " many" if num_rows > FEW_CLASSES else ""
    return f"sortable scores{many}{' wide' if num_columns >= MANY_COLUMNS else ''}"


def _search(num_rows: int) -> Html | None:
    """Return a field that filters the rows of a long table, which the page's script shows."""
    if num_rows < MANY_CLASSES:
        return None
    label = f"Search {num_rows:,} classes"
    return tag("input", type="search", class_="filter", placeholder=label, aria_label=label, hidden=True)


def _absent(names: list[str], *, are_rows: bool) -> Html | None:
    """Return a note on the classes without a score."""
    if not names:
        return None
    if are_rows:
        text = f"No score, because neither labelled nor predicted: {', '.join(names)}."
    else:
        text = f"{plural(len(names), 'more class', 'more classes')}, neither labelled nor predicted."
    return tag("p", text, class_="muted")


def _row(facts: RunFacts, file: ScoresFile, row: ClassRow, columns: list[str]) -> Html:
    return tag(
        "tr",
        tag("th", swatch(facts, row.name), row.name, scope="row", title=row.name),
        [_cell(file, row, name) for name in columns],
    )


def _cell(file: ScoresFile, row: ClassRow, column: str) -> Html:
    value, unit = row.scores.get(column), SCORES[column].unit
    ends = file.interval(f"{column}/{row.name}")
    if not unit:
        return _bar_cell(value, ends)
    if unit in (LENGTH, VOLUME):
        return _length_cell(value, ends)
    share = None
    if unit == "pixels":
        total = sum(other.scores.get("pixels") or 0 for other in file.classes)
        share = tag("small", percent((value or 0) / total if total else None))
    return tag("td", count(value), share, class_=f"num {unit}", data_sort=value or 0)


def _spread(evaluation: Evaluation) -> Html | None:
    """Return the distribution of per-image scores, beside the scores over all images."""
    file = evaluation.file
    names = [name for name in evaluation.shown(Shown.COMPARED) if name in file.per_image]
    rows = [
        tag(
            "tr",
            tag("th", file.score(name).title, scope="row"),
            tag("td", _with_interval(file.scores[name], file.interval(name)), class_="num"),
            tag("td", _with_interval(spread.mean, complete(spread.intervals.get("mean"))), class_="num"),
            tag("td", score(spread.median), class_="num"),
            tag("td", score(spread.percentile_5), class_="num"),
            tag("td", count(spread.num_images), class_="num"),
        )
        for name in names
        if (spread := file.per_image[name]).num_images
    ]
    if not rows:
        return None
    whole = f"all {file.what_counts}"
    heads = (f"Over {whole}", "Mean of images", "Median", "5th percentile", "Images")
    head = tag(
        "tr", tag("th", "Score", scope="col"), [tag("th", h, scope="col", class_="num") for h in heads]
    )
    larger = "large objects" if file.counts_pixels else f"images with many {file.what_counts}"
    note = f"Over {whole}, {larger} weigh more; in the mean of images, every image weighs the same."
    if any(file.interval(name) for name in names):
        note += " Brackets show 95 % bootstrap intervals over the images."
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="scores")
    return tag(
        "div",
        tag("h3", "Scores per image", class_="further"),
        tag("div", table, class_="scroll"),
        tag("p", note, class_="muted"),
    )


def _head(file: ScoresFile, name: str) -> str:
    """Return the heading of a column; distances and sizes have their unit."""
    column = file.score(name).column
    return f"{column} ({file.unit(name)})" if SCORES[name].unit in (LENGTH, VOLUME) else column


def number_text(file: ScoresFile, name: str, value: float | None) -> str:
    """Return a score, or a distance, size or count without its unit, as text."""
    return significant(value) if file.unit(name) and value is not None else score(value)


def value_with_unit(file: ScoresFile, name: str, value: float | None) -> str:
    """Return a score, or a value with its unit, as text."""
    unit = file.unit(name)
    return f"{number_text(file, name, value)} {unit}" if unit and value is not None else score(value)


def _with_interval(value: float | None, ends: tuple[float, float] | None) -> list[Html | str]:
    text: list[Html | str] = [score(value)]
    if ends is not None:
        text.append(tag("small", f"[{score(ends[0])}, {score(ends[1])}]"))
    return text


def _length_cell(value: float | None, ends: tuple[float, float] | None) -> Html:
    text = MISSING if value is None else significant(value)
    meaning = None if ends is None else f"95 % interval {significant(ends[0])} to {significant(ends[1])}"
    return tag("td", text, class_="num", data_sort=-1 if value is None else value, title=meaning)


def _bar_cell(value: float | None, ends: tuple[float, float] | None = None) -> Html:
    width = 0.0 if value is None else value
    bar = None if value is None else tag("span", class_="bar", style=f"--part:{width:.4f}")
    meaning = None if ends is None else f"95 % interval {score(ends[0])} to {score(ends[1])}"
    number = -1 if value is None else value
    return tag("td", tag("span", score(value)), bar, class_="num score", data_sort=number, title=meaning)
