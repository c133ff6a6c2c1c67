"""Remarks about a run that an experienced colleague would make, each from a simple rule."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite

from limner.core.finding import Severity
from limner.core.score_names import SCORES
from limner.reporting.numbers import a, percent, plural, score
from limner.reporting.run_facts import Evaluation, RunFacts

FEW_IMAGES = 10
"""With fewer evaluated images than this, scores are unreliable."""

WEAK_IOU = 0.5
"""A class with a lower IoU than this, or F1 of images, is called weak."""

NOTABLE_CHANGE = 0.01
"""A change of a score between 0 and 1 that is worth a remark."""

MOST_MISSED = 3
"""Maximum number of missed classes that are named."""

SLOW_LOADING = 0.2
"""Fraction of the time spent waiting for data that is worth a remark."""


@dataclass(frozen=True)
class Observation:
    """One remark.

    Attributes:
        text: One or two sentences.
        tone: ``warning`` for what may mislead or can be fixed, ``note`` for background.
        section: Anchor of the section with the details.
    """

    text: str
    tone: str
    section: str


def observe(facts: RunFacts) -> tuple[Observation, ...]:
    """Return the remarks about a run, warnings first."""
    rules: tuple[Callable[[RunFacts], Iterator[Observation]], ...] = (
        _unreadable, _unscored, _data_changes, _findings, _score_notes, _short_training, _few_images,
        _weak_classes, _missed_classes, _poor_images,
        _score_trend, _loading, _baseline, _chosen_by_validation,
    )  # fmt: skip
    made = [observation for rule in rules for observation in rule(facts)]
    return tuple(sorted(made, key=lambda o: o.tone != "warning"))


def baseline(evaluation: Evaluation) -> tuple[str, float, float] | None:
    """Return the scores of always predicting the most frequent class.

    Returns:
        The class, the accuracy and the mean IoU over the classes that have pixels or images; None if their
        numbers are unknown. If n of N pixels belong to the class, its IoU is n / N and every other IoU is 0.
    """
    file = evaluation.file
    if not (file.counts_pixels or file.counts_images):
        return None
    unit = "images" if file.counts_images else "pixels"
    present = {c.name: c.scores[unit] or 0 for c in evaluation.file.classes if c.scores.get(unit)}
    if len(present) < 2:
        return None
    largest = max(present, key=lambda name: present[name])
    part = present[largest] / sum(present.values())
    return largest, part, part / len(present)


def _unreadable(facts: RunFacts) -> Iterator[Observation]:
    for name, why in facts.unreadable.items():
        yield Observation(
            f"{name} could not be read, so its part of this page is missing. {why}", "warning", ""
        )


def _unscored(facts: RunFacts) -> Iterator[Observation]:
    for split in facts.unscored:
        yield Observation(
            f"The scores of {split} are missing: their evaluation was interrupted, or could not be written. "
            f"`limner evaluate {facts.root} --split {split}` makes them, or says why not.",
            "warning",
            "",
        )


def _data_changes(facts: RunFacts) -> Iterator[Observation]:
    if facts.data_changes:
        text = f"The data changed while the run was interrupted: {'; '.join(facts.data_changes)}."
        yield Observation(text, "warning", "data")


def _findings(facts: RunFacts) -> Iterator[Observation]:
    grave = [f for f in facts.findings or () if f.severity is not Severity.NOTE]
    if grave:
        codes = ", ".join(sorted({f.code for f in grave})[:4])
        errors = sum(f.severity is Severity.ERROR for f in grave)
        parts = (errors, "error"), (len(grave) - errors, "warning")
        tally = " and ".join(plural(number, word) for number, word in parts if number)
        yield Observation(f"Check reported {tally} in the data: {codes}.", "warning", "data")


def _score_notes(facts: RunFacts) -> Iterator[Observation]:
    """Pass on why scores are undefined or misleading on the evaluated images."""
    for note in facts.evaluation.file.notes if facts.evaluation else ():
        yield Observation(note, "warning", "classes")


def _short_training(facts: RunFacts) -> Iterator[Observation]:
    """Remark on too few steps to use every training image once."""
    if facts.plan is None or facts.samples_per_step is None or not facts.steps:
        return
    crops = facts.steps * facts.samples_per_step
    images = facts.plan.data.num_images.get("train", 0)
    if crops < images:
        text = (
            f"Training ended after {plural(facts.steps, 'step')}: at most {crops:,} of "
            f"{plural(images, 'training image')} were used. Train longer before you judge the scores."
        )
        yield Observation(text, "warning", "training")


def _few_images(facts: RunFacts) -> Iterator[Observation]:
    evaluation = facts.evaluation
    if evaluation is not None and evaluation.file.num_images < FEW_IMAGES:
        images = plural(evaluation.file.num_images, "image")
        text = f"The scores are based on only {images}; on other images they may be quite different."
        yield Observation(text, "warning", "examples")


def _weak_classes(facts: RunFacts) -> Iterator[Observation]:
    evaluation = facts.evaluation
    if evaluation is None:
        return
    unit, name = ("images", "f1_score") if evaluation.file.counts_images else ("pixels", "iou")
    classes, what = evaluation.file.classes, evaluation.file.what_counts
    ious = {c.name: iou for c in classes if c.scores.get(unit) and (iou := c.scores.get(name)) is not None}
    weak = [name for name, iou in ious.items() if iou < WEAK_IOU]
    if not weak:
        return
    pixels = {c.name: c.scores.get(unit) or 0 for c in classes}
    weakest = min(weak, key=lambda name: ious[name])
    others = f"; {plural(len(weak), 'class', 'classes')} are below {WEAK_IOU:g}" if len(weak) > 1 else ""
    text = (
        f"The weakest class is “{weakest}” with {a(SCORES[name].words)} of {score(ious[weakest])} "
        f"({percent(pixels[weakest] / (sum(pixels.values()) or 1))} of the {what}){others}."
    )
    yield Observation(text, "warning", "classes")


def _missed_classes(facts: RunFacts) -> Iterator[Observation]:
    """Name the classes that were not found at all in some cases, the most missed first."""
    classes = facts.evaluation.file.classes if facts.evaluation else []
    missed = {c.name: number for c in classes if (number := c.scores.get("missed_cases"))}
    if missed:
        worst = sorted(missed, key=lambda name: -missed[name])
        listed = ", ".join(f"“{name}” in {missed[name]:.0f}" for name in worst[:MOST_MISSED])
        more = len(worst) - MOST_MISSED
        rest = f" and {plural(more, 'more class', 'more classes')}" if more > 0 else ""
        text = f"Not found in cases that have it: {listed}{rest}; these cases count as missed in every score."
        yield Observation(text, "warning", "classes")


def _poor_images(facts: RunFacts) -> Iterator[Observation]:
    evaluation = facts.evaluation
    if evaluation is None or evaluation.file.counts_images:  # mistakes are shown as such
        return
    ranks = [i.rank for i in evaluation.images if i.rank is not None]
    poor = sum(rank < 0.5 for rank in ranks)
    if poor:
        which = f"{poor} of {plural(len(ranks), 'image')}" if poor < len(ranks) else f"All {poor} images"
        text = f"{which} score below 0.5; they are worth a look."
        if len(ranks) == 1:
            text = "The one image scores below 0.5; it is worth a look."
        yield Observation(text, "warning", "examples")


def _score_trend(facts: RunFacts) -> Iterator[Observation]:
    """Remark on a validation score that was still rising, or had fallen, at the end of training."""
    if facts.validation is None:
        return
    name, series = facts.validation
    there = [
        (value, step) for value, step in zip(series.values, series.steps, strict=True) if isfinite(value)
    ]
    values, steps = [value for value, _ in there], [step for _, step in there]
    if len(values) < 4:
        return
    best = max(range(len(values)), key=values.__getitem__)
    before = max(values[: -(len(values) // 4)])
    what = f"Validation {SCORES[name].words}"
    if values[best] - values[-1] > NOTABLE_CHANGE:
        text = (
            f"{what} was highest at step {steps[best]:,.0f} ({score(values[best])}) and "
            f"{score(values[-1])} at the end."
        )
        yield Observation(text, "warning", "training")
    elif values[best] - before > NOTABLE_CHANGE:
        text = (
            f"{what} was still rising in the last quarter of training, from {score(before)} to "
            f"{score(values[best])}; a longer run would probably score higher."
        )
        yield Observation(text, "note", "training")


def _loading(facts: RunFacts) -> Iterator[Observation]:
    data, step = facts.series.get("train/data_seconds"), facts.series.get("train/step_seconds")
    if data is None or step is None or not sum(step.values) > 0:
        return
    part = sum(data.values) / sum(step.values)
    if part > SLOW_LOADING:
        text = f"Training spent {percent(part)} of its time waiting for data; more workers may help."
        yield Observation(text, "warning", "training")


def _baseline(facts: RunFacts) -> Iterator[Observation]:
    found = baseline(facts.evaluation) if facts.evaluation else None
    if found is not None and facts.evaluation is not None:
        name, accuracy, mean_iou = found
        is_of_images = facts.evaluation.file.counts_images
        words = facts.evaluation.file.score("pixel_accuracy").words
        gives = f"{a(words)} of {score(accuracy)} and a mean IoU of {score(mean_iou)}"
        gives = f"an accuracy of {score(accuracy)}" if is_of_images else gives
        text = f"For comparison: always predicting “{name}” would give {gives}."
        yield Observation(text, "note", "classes")


def _chosen_by_validation(facts: RunFacts) -> Iterator[Observation]:
    if facts.evaluation is not None and facts.evaluation.split == "val":
        text = (
            "The validation images were also used to select the best weights, so expect slightly lower "
            "scores on new images; a test split shows by how much."
        )
        yield Observation(text, "note", "examples")
