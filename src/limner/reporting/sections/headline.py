"""Summary: the quality of the model in a sentence and a few numbers."""

from pathlib import PurePath

from limner.core.prediction import SCORE_THRESHOLD
from limner.core.score_names import SCORES, Shown
from limner.evaluation.scores_file import MatchRow
from limner.reporting.markup import Html, tag
from limner.reporting.numbers import a, count, duration, percent, plural, score
from limner.reporting.observations import Observation, observe
from limner.reporting.run_facts import Evaluation, RunFacts

SPLIT_NAMES = {"val": "validation", "test": "test", "train": "training"}


def headline(facts: RunFacts) -> Html:
    """Return the verdict, the main scores, the main facts and the remarks."""
    return tag(
        "div",
        tag("p", verdict(facts), class_="verdict"),
        _tiles(facts.evaluation) if facts.evaluation else None,
        _main_facts(facts),
        _remarks(observe(facts)),
    )


def title(facts: RunFacts) -> str:
    """Return the name of the dataset, or of the run if there is no plan."""
    if facts.plan is None:
        return facts.root.name
    return PurePath(facts.plan.data.path).name or facts.root.name


def subtitle(facts: RunFacts) -> str:
    """Return the network and the run, for the line under the title."""
    network = "" if facts.plan is None else f"{facts.plan.network.name}, "
    return f"{network}run {facts.root.name}"


def verdict(facts: RunFacts) -> str:
    """Return the quality of the model in one or two sentences."""
    evaluation = facts.evaluation
    if evaluation is not None and evaluation.main is not None:
        name, value = evaluation.main
        split = SPLIT_NAMES.get(evaluation.split, f"“{evaluation.split}”")
        images = plural(evaluation.file.num_images, f"{split} image")
        if value is None:
            return f"The {evaluation.file.score(name).words} is undefined on {images}."
        reaches = "the model reaches"
        unseen = ", which it was trained on," if evaluation.split == "train" else ""
        if facts.folds and evaluation.split == "val":
            unseen = f" in {len(facts.folds)} folds, each predicted by the model that has not seen it,"
            reaches = "the models reach"
        words = evaluation.file.score(name).words
        over = _over_some_classes(evaluation, name)
        reached = f"On {images}{unseen} {reaches} {a(words)} of {score(value)}{over}."
        return reached if name == "accuracy" else reached + _in_percent(facts, evaluation)
    if facts.validation is None:
        return "This log has no scores." if facts.is_foreign else "This run has no scores yet."
    name, series = facts.validation
    best, step = series.best
    state = "A log of another program." if facts.is_foreign else "Not evaluated yet."
    return (
        f"{state} During training, validation {SCORES[name].words} was highest at step "
        f"{step:,.0f}: {score(best)}."
    )


def _over_some_classes(evaluation: Evaluation, name: str) -> str:
    """Say over how many classes a score is averaged if some are in neither truth nor prediction."""
    absent, all_classes = evaluation.file.num_absent_classes, len(evaluation.file.classes)
    if not absent or not name.startswith("mean_"):
        return ""
    return f" over the {all_classes - absent} of {all_classes} classes that are labelled or predicted there"


def _in_percent(facts: RunFacts, evaluation: Evaluation) -> str:
    """Express the score in percentages: how much is found, and how much of that is correct."""
    matrix = evaluation.file.confusion_matrix
    table = facts.label_table
    if evaluation.file.f1_by_iou:
        return _of_matches(evaluation.file.f1_by_iou[0], evaluation.file.what_counts)
    if matrix is None or len(matrix) == 1:
        return ""
    is_of_pixels = table is not None and evaluation.file.counts_pixels
    background = table.background_index if table is not None and is_of_pixels else None
    inside = [i for i in range(len(matrix)) if i != background]
    if background is None or len(inside) == len(matrix):
        right, total = sum(matrix[i][i] for i in inside), sum(map(sum, matrix))
        what = evaluation.file.what_counts
        return f" It labels {percent(right / total)} of the {what} correctly." if total else ""
    right = sum(matrix[i][i] for i in inside)
    truth = sum(sum(matrix[i]) for i in inside)
    marked = sum(row[i] for row in matrix for i in inside)
    if not truth or not marked:
        return ""
    unit = evaluation.file.what_counts
    what = evaluation.file.classes[inside[0]].name if len(inside) == 1 else "foreground"
    return (
        f" It finds {percent(right / truth)} of the {what} {unit}, and {percent(right / marked)} of the "
        f"{unit} it marks are correct."
    )


def _of_matches(row: MatchRow, what: str) -> str:
    """Express the F1 in percentages of objects or segments."""
    if not row.recall or not row.precision:
        sure = f" with a score of {SCORE_THRESHOLD:g} or more" * (what == "objects")
        return "" if row.recall is None else f" It finds none of the {what}{sure}."
    return (
        f" It finds {percent(row.recall)} of the {what}, and {percent(row.precision)} of those it finds are "
        f"correct, at an IoU of {row.iou:g}."
    )


def _tiles(evaluation: Evaluation) -> Html:
    tiles = [
        tag(
            "a",
            tag("span", evaluation.file.score(name).title, class_="label"),
            tag("b", score(value), title=repr(value)),
            _interval(evaluation.file.interval(name)),
            tag("span", class_="bar", style=f"--part:{value:.4f}"),
            href="#definitions",
            class_="tile",
        )
        for name in evaluation.shown(Shown.HEADLINE)
        if (value := evaluation.file.scores[name]) is not None
    ]
    return tag("div", tiles, class_="tiles")


def _interval(ends: tuple[float, float] | None) -> Html | None:
    if ends is None:
        return None
    meaning = "95 % bootstrap interval: how the score may vary with another sample of such images"
    return tag("small", f"95\u00a0%: {score(ends[0])} to {score(ends[1])}", class_="interval", title=meaning)


def _main_facts(facts: RunFacts) -> Html:
    rows: list[tuple[str, str]] = []
    plan = facts.plan
    if plan is not None:
        splits = ", ".join(f"{count(n)} {name}" for name, n in plan.data.num_images.items())
        if facts.folds:
            splits = f"{plural(sum(plan.data.num_images.values()), 'image')} in {len(facts.folds)} folds"
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
    rows += facts.logged.items()
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
