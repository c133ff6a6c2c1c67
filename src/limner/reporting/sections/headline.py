"""The top of the page: how good the model is, in one sentence and a few numbers."""

import math
from pathlib import PurePath

from limner.reporting.markup import Html, tag
from limner.reporting.numbers import count, duration, percent, plural, score
from limner.reporting.observations import Observation, observe
from limner.reporting.run_facts import OVERALL_NAMES, Evaluation, Matches, RunFacts, in_sentence

OF_OBJECTS = ("ap", "ap50", "box_ap", "pq", "sq", "rq", "pq_things", "pq_stuff", "f1", "f1_75")
TILES = ("foreground_dice", "mean_iou", "mean_dice", "pixel_accuracy", *OF_OBJECTS)
"""Scores shown large; all of them stand under the table of classes."""

SPLIT_NAMES = {"val": "validation", "test": "test", "train": "training"}


def headline(facts: RunFacts) -> Html:
    """Return the verdict, the main scores, the main facts and what stands out."""
    return tag(
        "div",
        tag("p", verdict(facts), class_="verdict"),
        _tiles(facts.evaluation) if facts.evaluation else None,
        _main_facts(facts),
        _remarks(observe(facts)),
    )


def title(facts: RunFacts) -> str:
    """Return what the page is about: the dataset, or the run where there is no plan."""
    if facts.plan is None:
        return facts.root.name
    return PurePath(facts.plan.data.path).name or facts.root.name


def subtitle(facts: RunFacts) -> str:
    """Return the network and the run, for the line under the title."""
    network = "" if facts.plan is None else f"{facts.plan.network.name}, "
    return f"{network}run {facts.root.name}"


def verdict(facts: RunFacts) -> str:
    """Return one or two sentences that say how good the model is."""
    evaluation = facts.evaluation
    if evaluation is not None and evaluation.main is not None:
        name, value = evaluation.main
        split = SPLIT_NAMES.get(evaluation.split, f"“{evaluation.split}”")
        images = plural(evaluation.num_images, f"{split} image")
        unseen = " it was trained on" if evaluation.split == "train" else ""
        reached = f"On {images}{unseen} the model reaches a {in_sentence(name)} of {score(value)}."
        return reached + _plainly(facts, evaluation)
    if facts.validation is None:
        return "This run holds no scores yet."
    name, series = facts.validation
    best, step = series.best
    return (
        f"Not evaluated yet. During training, validation {in_sentence(name)} was highest at step "
        f"{step:,.0f}: {score(best)}."
    )


def _plainly(facts: RunFacts, evaluation: Evaluation) -> str:
    """Say the score as parts of pixels: what is found, and what of the found is right."""
    matrix = evaluation.confusion
    table = facts.label_table
    if evaluation.matches is not None:
        return _of_matches(evaluation.matches)
    if matrix is None:
        return ""
    background = None if table is None else table.background_index
    inside = [i for i in range(len(matrix)) if i != background]
    if background is None or len(inside) == len(matrix):
        right, total = sum(matrix[i][i] for i in inside), sum(map(sum, matrix))
        return f" It labels {percent(right / total)} of the pixels correctly." if total else ""
    right = sum(matrix[i][i] for i in inside)
    truth = sum(sum(matrix[i]) for i in inside)
    marked = sum(row[i] for row in matrix for i in inside)
    if not truth or not marked:
        return ""
    what = evaluation.classes[inside[0]].name if len(inside) == 1 else "foreground"
    return (
        f" It finds {percent(right / truth)} of the {what} pixels, and {percent(right / marked)} of the "
        f"pixels it marks are right."
    )


def _of_matches(matches: Matches) -> str:
    """Say the F1 as parts of segments, at the lowest IoU."""
    found, right = matches.recall[0], matches.precision[0]
    if not found > 0 or not right > 0:
        return "" if math.isnan(found) else " It finds none of the objects."
    return (
        f" It finds {percent(found)} of the objects, and {percent(right)} of those it finds are right, "
        f"at an IoU of {matches.ious[0]:g}."
    )


def _tiles(evaluation: Evaluation) -> Html:
    # Without a background class, Dice over the foreground and pixel accuracy are the same number.
    is_double = evaluation.overall.get("foreground_dice") == evaluation.overall.get("pixel_accuracy")
    main = evaluation.main[0] if evaluation.main else ""
    shown = [n for n in sorted(TILES, key=lambda n: n != main) if not (is_double and n == "foreground_dice")]
    tiles = [
        tag(
            "a",
            tag("span", OVERALL_NAMES[name], class_="label"),
            tag("b", score(value), title=repr(value)),
            _interval(evaluation.intervals.get(name)),
            tag("span", class_="bar", style=f"--part:{value:.4f}"),
            href="#definitions",
            class_="tile",
        )
        for name in shown
        if (value := evaluation.overall.get(name)) is not None
    ]
    return tag("div", tiles, class_="tiles")


def _interval(ends: tuple[float, float] | None) -> Html | None:
    if ends is None:
        return None
    meaning = "95 % bootstrap interval: what another choice of such images may give"
    return tag("small", f"95\u00a0%: {score(ends[0])} to {score(ends[1])}", class_="interval", title=meaning)


def _main_facts(facts: RunFacts) -> Html:
    rows: list[tuple[str, str]] = []
    plan = facts.plan
    if plan is not None:
        splits = ", ".join(f"{count(n)} {name}" for name, n in plan.data.num_images.items())
        size = " × ".join(map(str, plan.input.crop_size))
        rows += [
            ("Network", plan.network.name),
            ("Images", splits),
            ("Crops", f"{size}, batches of {plan.train.batch_size}"),
        ]
    if facts.seconds is not None:
        rows.append(("Training", f"{duration(facts.seconds)}, {plural(facts.steps or 0, 'step')}"))
    if facts.device:
        rows.append(("Device", facts.device))
    cells = [tag("div", tag("dt", key), tag("dd", text)) for key, text in rows]
    return tag("dl", cells, class_="main-facts") if cells else Html("")


def _remarks(observations: tuple[Observation, ...]) -> Html | None:
    items = [
        tag(
            "li",
            tag(
                "span",
                o.text,
                " " if o.section else None,
                tag("a", f"See {o.section}.", href=f"#{o.section}") if o.section else None,
            ),
            class_=o.tone,
        )
        for o in observations
    ]
    return tag("ul", items, class_="remarks") if items else None
