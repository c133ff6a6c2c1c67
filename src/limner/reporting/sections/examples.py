"""Images: the distribution of their scores, and pictures of the lowest and highest."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from limner.core.score_names import SCORES
from limner.evaluation.scorer import MISTAKES_AND_HITS, PICTURE_TITLES
from limner.reporting.embedded_pictures import BUDGET_BYTES, Embedded, embed
from limner.reporting.histogram import histogram
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import plural, score
from limner.reporting.run_facts import Evaluation, RunFacts, ScoredImage
from limner.reporting.sections.class_scores import number_text, split_heading

MOST_OF_A_KIND = 12
"""Maximum number of pictures with the lowest scores, and of those with the highest."""

MOST_ROWS = 300
"""Maximum number of images in the table."""

BINS = 20

WIDE = 720
"""Minimum width in pixels of a row of pictures that is shown at the full width of the page."""

OWN_GROUPS = tuple(group.name for group in MISTAKES_AND_HITS)
"""Groups of pictures that are not made of the lowest and the highest scores."""


def examples(facts: RunFacts) -> Html:
    """Return distribution, pictures and table of each split."""
    shown = [e for e in facts.evaluations if e.images or e.pictures]
    if not shown:
        return tag("p", "There are no per-image scores and no pictures.", class_="empty")
    budget = BUDGET_BYTES // len(shown)
    return Html("".join(_of_split(facts, evaluation, budget) for evaluation in shown))


def _of_split(facts: RunFacts, evaluation: Evaluation, budget: int) -> Html:
    groups = _choose(evaluation)
    pictures = embed([path for _, cards in groups for path, _ in cards], budget=budget)
    drawn = [
        (title, [(path, row, pictures[path]) for path, row in cards if path in pictures])
        for title, cards in groups
    ]
    return tag(
        "div",
        split_heading(facts, evaluation),
        _spread(evaluation),
        [
            (tag("h3", title), tag("div", [_card(*card) for card in cards], class_="cards"))
            for title, cards in drawn
            if cards
        ],
        None if pictures else tag("p", "No pictures were drawn for this split.", class_="empty"),
        _table(evaluation.images),
        _case_tables(evaluation),
    )


def _choose(evaluation: Evaluation) -> list[tuple[str, list[tuple[Path, ScoredImage | None]]]]:
    """Return groups of pictures with their scores."""
    found = _match(evaluation)
    if any(_group(path) in OWN_GROUPS for path in evaluation.pictures):
        return _named_groups(evaluation, found)
    scored = [
        (found[row.name], row) for row in evaluation.images if row.rank is not None and row.name in found
    ]
    if not scored:
        loose = [(path, None) for path in evaluation.pictures[:MOST_OF_A_KIND]]
        return [("Pictures", list(loose))]
    if len(scored) == 1:  # the highest of one image is the lowest too
        return [("Picture", list(scored))]
    ranked = [row for row in evaluation.images if row.rank is not None]
    # By rank instead of score, since many images may have the same score.
    lower = {row.name for row in ranked[: len(ranked) // 2]}
    low = [card for card in scored if card[1].name in lower]
    high = [card for card in scored if card[1].name not in lower]
    return [
        ("Lowest scores", list(low[:MOST_OF_A_KIND])),
        ("Highest scores", list(high[::-1][:MOST_OF_A_KIND])),
    ]


def _named_groups(
    evaluation: Evaluation, found: Mapping[str, Path]
) -> list[tuple[str, list[tuple[Path, ScoredImage | None]]]]:
    """Return the groups that the names of the pictures state, in the order of their ranks."""
    rows = {found[row.name]: row for row in evaluation.images if row.name in found}
    groups = []
    for name in OWN_GROUPS:
        paths = sorted((p for p in evaluation.pictures if _group(p) == name), key=_rank)
        cards: list[tuple[Path, ScoredImage | None]] = [(path, rows.get(path)) for path in paths]
        groups.append((PICTURE_TITLES[name], cards[:MOST_OF_A_KIND]))
    return groups


def _group(picture: Path) -> str:
    return picture.name.partition("-")[0]


def _rank(picture: Path) -> int:
    rank = picture.name.partition("-")[2].partition("_")[0]
    return int(rank) if rank.isdigit() else 0


def _match(evaluation: Evaluation) -> dict[str, Path]:
    """Return image name -> its picture.

    The file has the name of the image, with or without a prefix for its rank (``worst_01_cell7.png``), and
    with some separator instead of slashes.
    """
    keys = {_key(path.stem): path for path in evaluation.pictures}
    found = {}
    for row in evaluation.images:
        whole = _key(row.name)
        stem = _key(str(PurePosixPath(row.name).with_suffix("")))
        exact = keys.get(whole) or keys.get(stem)
        if exact is None:
            ending = [k for k in keys if k.endswith((f"-{whole}", f"-{stem}"))]
            exact = keys[min(ending, key=len)] if ending else None
        if exact is not None:
            found[row.name] = exact
    return found


def _key(text: str) -> str:
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")


def _card(path: Path, row: ScoredImage | None, picture: Embedded) -> Html:
    name = path.stem if row is None else row.name
    image = tag(
        "img", src=picture.uri, width=picture.width, height=picture.height,
        alt=f"Picture of {name}",
    )  # fmt: skip
    is_strip = picture.width > 1.8 * picture.height
    shape = ("strip" if picture.width >= WIDE else "pair") if is_strip else None
    chips = None if row is None else (tag("b", score(row.rank)), tag("span", name, title=name, class_="name"))
    return tag("figure", image, tag("figcaption", chips or tag("span", name, class_="name")), class_=shape)


def _spread(evaluation: Evaluation) -> Html | None:
    ranks = [row.rank for row in evaluation.images if row.rank is not None]
    if len(ranks) < 2:
        return None
    tallies = [0] * BINS
    for rank in ranks:
        tallies[min(int(rank * BINS), BINS - 1)] += 1
    name = next(n for row in evaluation.images for n, value in row.scores.items() if value is not None)
    quarter, median, upper = np.percentile(ranks, (25, 50, 75)).tolist()
    text = (
        f"{plural(len(ranks), 'image')} by {SCORES[name].words}: the lowest is {score(ranks[0])}, half are "
        f"between {score(quarter)} and {score(upper)} with a median of {score(median)}, and "
        f"the highest is {score(ranks[-1])}."
    )
    ranges = [f"{i / BINS:.2f} to {(i + 1) / BINS:.2f}" for i in range(BINS)]
    scale = [f"{x:g}" for x in (0, 0.25, 0.5, 0.75, 1)]
    return histogram(
        "Distribution of image scores", text, list(zip(ranges, tallies, strict=True)), "image", scale
    )


def _table(images: Sequence[ScoredImage]) -> Html | None:
    if not images:
        return None
    shown = images[:MOST_ROWS]
    what = "All " if len(shown) == len(images) else f"The {len(shown)} lowest of all "
    what = "" if len(images) == 1 else what
    rows = [
        tag(
            "tr",
            tag("th", row.name, scope="row"),
            [tag("td", score(value), class_="num") for value in row.scores.values()],
        )
        for row in shown
    ]
    head = tag(
        "tr",
        tag("th", "Image", scope="col"),
        [tag("th", SCORES[name].column, scope="col", class_="num") for name in images[0].scores],
    )
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="sortable")
    return tag(
        "details",
        tag("summary", f"{what}{plural(len(images), 'image')} by score"),
        tag("div", table, class_="scroll"),
    )


def _case_tables(evaluation: Evaluation) -> list[Html]:
    """Return a table for each score of cases: a row for each case, a column for each class."""
    images, file = evaluation.images[:MOST_ROWS], evaluation.file
    names = list(images[0].by_class) if images else []
    found = []
    for name in names:
        classes = [
            row.name
            for row in file.classes
            if any(i.by_class[name].get(row.name) is not None for i in images)
        ]
        if not classes:
            continue
        rows = [
            tag(
                "tr",
                tag("th", image.name, scope="row"),
                [_case_cell(evaluation, name, image.by_class[name].get(c)) for c in classes],
            )
            for image in images
        ]
        head = tag("tr", tag("th", "Case"), [tag("th", c, scope="col", class_="num") for c in classes])
        table = tag("table", tag("thead", head), tag("tbody", rows), class_="sortable")
        unit = f" ({file.unit(name)})" if file.unit(name) else ""
        title = f"{file.score(name).title}{unit}, by case and class"
        found.append(tag("details", tag("summary", title), tag("div", table, class_="scroll")))
    return found


def _case_cell(evaluation: Evaluation, name: str, value: float | None) -> Html:
    text = number_text(evaluation.file, name, value)
    return tag("td", text, class_="num", data_sort=-1 if value is None else value)
