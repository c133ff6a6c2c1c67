"""The scores class by class."""

from limner.reporting.markup import Html, prose, tag
from limner.reporting.numbers import count, percent, plural, score
from limner.reporting.run_facts import OVERALL_NAMES, ClassScores, Evaluation, RunFacts

COLUMNS = {
    "iou": "IoU",
    "dice": "Dice",
    "precision": "Precision",
    "recall": "Recall",
    "boundary_iou": "Boundary IoU",
    "boundary_f1": "Boundary F1",
}
"""Scores of a class, and what they are called; those that nobody measured are left out."""

SPREAD = (
    "foreground_dice",
    "mean_iou",
    "mean_dice",
    "pixel_accuracy",
    "mean_boundary_iou",
    "mean_boundary_f1",
    "pq",
    "sq",
    "rq",
    "f1",
    "f1_75",
)
"""Scores whose spread over the images is shown."""

NAMES = {"ap": "AP", "ap50": "AP50", "box_ap": "Box AP", "pq": "PQ", "sq": "SQ", "rq": "RQ", "f1": "F1"}
"""Columns of objects and segments; what is not among them is its own name."""

COUNTS = ("objects", "found_objects", "true_positives", "false_positives", "false_negatives")


def classes(facts: RunFacts) -> Html:
    """Return a table of the classes for each split that was evaluated."""
    if not facts.evaluations:
        return tag("p", prose("Nothing was evaluated yet: run `limner evaluate RUN`."), class_="empty")
    return Html("".join(_of_split(facts, evaluation) for evaluation in facts.evaluations))


def split_heading(facts: RunFacts, evaluation: Evaluation) -> Html | None:
    """Return the name of a split as a heading where more than one was evaluated."""
    return tag("h3", f"Split “{evaluation.split}”", class_="split") if len(facts.evaluations) > 1 else None


def swatch(facts: RunFacts, name: str) -> Html | None:
    """Return a small field in the colour of a class, or None where its colour is not known."""
    color = facts.colors.get(name)
    return None if color is None else tag("i", class_="swatch", style=f"background:{color}")


def _of_other_task(facts: RunFacts, evaluation: Evaluation) -> Html:
    """Return the table of objects or segments: whatever columns the scores have."""
    columns = list(evaluation.classes[0].own)
    titles = [NAMES.get(column, column.replace("_", " ").capitalize()) for column in columns]
    heads = [tag("th", title, scope="col", class_="num") for title in titles]
    there = [row for row in evaluation.classes if any(row.own.values())] or list(evaluation.classes)
    absent = len(evaluation.classes) - len(there)
    rows = [
        tag(
            "tr",
            tag("th", swatch(facts, row.name), row.name, scope="row"),
            [_count_cell(row.own[c]) if c in COUNTS else _own_cell(evaluation, row, c) for c in columns],
        )
        for row in there
    ]
    head = tag("tr", tag("th", "Class", scope="col"), heads)
    many = " many" if len(rows) > 8 else ""
    table = tag("table", tag("thead", head), tag("tbody", rows), class_=f"sortable scores{many}")
    note = f"{plural(absent, 'more class', 'more classes')}: in no image, and predicted in none."
    return tag(
        "div",
        split_heading(facts, evaluation),
        tag("div", table, class_="scroll"),
        tag("p", note, class_="muted") if absent else None,
        _spread(evaluation),
    )


def _own_cell(evaluation: Evaluation, row: ClassScores, column: str) -> Html:
    return _bar_cell(row.own[column], evaluation.intervals.get(f"{column}/{row.name}"))


def _count_cell(number: float | None) -> Html:
    return tag("td", count(int(number or 0)), class_="num", data_sort=int(number or 0))


def _of_split(facts: RunFacts, evaluation: Evaluation) -> Html:
    if evaluation.classes and evaluation.classes[0].own:
        return _of_other_task(facts, evaluation)
    has_outlines = any(c.boundary_iou is not None for c in evaluation.classes)
    shown = [name for name in COLUMNS if has_outlines or not name.startswith("boundary")]
    head = tag(
        "tr",
        tag("th", "Class", scope="col"),
        [tag("th", COLUMNS[name], scope="col", class_="num") for name in shown],
        tag("th", "Pixels", scope="col", class_="num"),
        tag("th", "Predicted", scope="col", class_="num"),
    )
    total = sum(c.pixels for c in evaluation.classes)
    rows = [_row(facts, evaluation, c, shown, total) for c in evaluation.classes]
    means = [evaluation.overall.get(f"mean_{name}") for name in shown]
    foot = tag(
        "tr",
        tag("th", "Mean", scope="row"),
        [tag("td", None if mean is None else score(mean), class_="num") for mean in means],
        tag("td"),
        tag("td"),
    )
    table = tag(
        "table",
        tag("thead", head),
        tag("tbody", rows),
        tag("tfoot", foot),
        class_="sortable scores" + (" many" if len(rows) > 8 else ""),
    )
    whole = [
        f"{OVERALL_NAMES[name]} {score(evaluation.overall[name])}"
        for name in ("foreground_dice", "pixel_accuracy", "frequency_weighted_iou")
        if evaluation.overall.get(name) is not None
    ]
    absent = [c.name for c in evaluation.classes if c.iou is None]
    note = f"Without a score, as it stands in no image and was predicted in none: {', '.join(absent)}."
    return tag(
        "div",
        split_heading(facts, evaluation),
        tag("div", table, class_="scroll"),
        tag("p", f"Over all pixels: {', '.join(whole)}.", class_="muted") if whole else None,
        tag("p", note, class_="muted") if absent else None,
        _spread(evaluation),
    )


def _spread(evaluation: Evaluation) -> Html | None:
    """Return how the scores of single images spread, beside those over all pixels."""
    rows = [
        tag(
            "tr",
            tag("th", OVERALL_NAMES[name], scope="row"),
            tag(
                "td",
                _with_interval(evaluation.overall.get(name), evaluation.intervals.get(name)),
                class_="num",
            ),
            tag("td", _with_interval(spread.mean, spread.mean_interval), class_="num"),
            tag("td", score(spread.median), class_="num"),
            tag("td", score(spread.percentile_5), class_="num"),
            tag("td", count(spread.num_images), class_="num"),
        )
        for name in SPREAD
        if (spread := evaluation.spreads.get(name)) is not None and spread.num_images
    ]
    if not rows:
        return None
    whole = "all objects" if evaluation.is_of_segments else "all pixels"
    heads = (f"Over {whole}", "Mean of images", "Median", "5th percentile", "Images")
    head = tag(
        "tr", tag("th", "Score", scope="col"), [tag("th", h, scope="col", class_="num") for h in heads]
    )
    larger = "images with many objects" if evaluation.is_of_segments else "large objects"
    note = (
        f"Over {whole}, {larger} count more; as mean of images each image counts the same. In "
        "brackets 95 % bootstrap intervals over the images."
    )
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="scores")
    return tag(
        "div",
        tag("h3", "Image by image", class_="further"),
        tag("div", table, class_="scroll"),
        tag("p", note, class_="muted"),
    )


def _with_interval(value: float | None, ends: tuple[float, float] | None) -> list[Html | str]:
    text: list[Html | str] = [score(value)]
    if ends is not None:
        text.append(tag("small", f"[{score(ends[0])}, {score(ends[1])}]"))
    return text


def _row(facts: RunFacts, evaluation: Evaluation, row: ClassScores, shown: list[str], total: int) -> Html:
    share = row.pixels / total if total else None
    return tag(
        "tr",
        tag("th", swatch(facts, row.name), row.name, scope="row"),
        [_bar_cell(getattr(row, name), evaluation.intervals.get(f"{name}/{row.name}")) for name in shown],
        _pixel_cell(row.pixels, share),
        _pixel_cell(row.predicted_pixels, row.predicted_pixels / total if total else None),
    )


def _bar_cell(value: float | None, ends: tuple[float, float] | None = None) -> Html:
    width = 0.0 if value is None else value
    bar = tag("span", class_="bar", style=f"--part:{width:.4f}")
    meaning = None if ends is None else f"95 % interval {score(ends[0])} to {score(ends[1])}"
    number = -1 if value is None else value
    return tag("td", tag("span", score(value)), bar, class_="num score", data_sort=number, title=meaning)


def _pixel_cell(pixels: int, share: float | None) -> Html:
    return tag("td", count(pixels), tag("small", percent(share)), class_="num pixels", data_sort=pixels)
