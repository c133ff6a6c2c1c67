"""Duration of training, and frequency of validation."""

from collections.abc import Iterator, Mapping
from math import ceil, prod
from typing import Any

from limner.core.plan import Decision
from limner.core.wording import count_words, number, rough_time, share
from limner.planning.decisions import Case
from limner.planning.rules.network import objective_of
from limner.tasks import find_task

CPU_PASSES, ACCELERATOR_PASSES = 60, 150
"""Number of epochs if no time is set."""

CPU_STEPS, ACCELERATOR_STEPS = (400, 20_000), (2000, 80_000)
"""Minimum and maximum number of steps if no time is set."""

BUSY_CORES = 0.5
"""Cores used by other programs from which the plan says that it was made on a busy machine."""

VALIDATION_PART = 0.06
"""Maximum fraction of the training time for validation."""

MOST_VALIDATIONS = 20

AVERAGED_PART, SHORTEST_AVERAGE = 0.05, 10
"""Span of the weight average as a fraction of the run, and its minimum in steps."""

SLOWEST_AVERAGE = 0.9998


def training_seconds(minutes: float) -> float:
    """Return the time of a budget that validation leaves to training."""
    return minutes * 60 * (1 - VALIDATION_PART)


def choose_steps(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Derive the steps from the time budget and the measured speed, or from the number of images."""
    batch, images = settled["train.batch_size"], case.fingerprint.num_samples
    noun = case.fingerprint.sample_noun
    empty = settled["input.empty_slices"]
    counted = ""
    if empty:
        counted = f", counting those without foreground, which are at most {share(empty)} of those used"
    seconds = seconds_per_step(case, settled)
    if case.minutes is not None:
        yield Decision("train.minutes", case.minutes, "you set it")
        steps = max(int(training_seconds(case.minutes) / seconds), 1)
        others = case.measure(settled).others
        busy = f", while other programs use {others:.1f} cores" if others >= BUSY_CORES else ""
        reason = f"an estimate: a step takes about {seconds:.2g} s here{busy}; the time budget ends the run"
        yield Decision("train.steps", steps, reason)
        return
    if settled["train.epochs"] is not None:
        epochs = settled["train.epochs"]
        reason = f"{epochs:g} passes over {count_words(images, f'training {noun}')}{counted}"
        yield Decision("train.steps", max(ceil(images * epochs / batch), 1), reason)
        return
    passes, (fewest, most) = (
        (CPU_PASSES, CPU_STEPS) if case.machine.is_cpu else (ACCELERATOR_PASSES, ACCELERATOR_STEPS)
    )
    steps = min(max(ceil(images * passes / batch), fewest), most)
    seen = steps * batch / images
    which = f"the {noun}" if images == 1 else f"each of {images} {noun}s"
    used = f"{which} is used about {seen:.0f} times"
    if seen < 1:
        used = f"only {share(seen)} of {images} {noun}s are used"
    yield Decision("train.steps", steps, f"{used}{counted}; about {rough_time(steps * seconds)} here")


def warn_of_short_run(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Say so if the network cannot learn from scratch in this run."""
    needed, name = objective_of(settled).samples_to_learn, settled["network.name"]
    seen = settled["train.steps"] * settled["train.batch_size"]
    if needed is None or case.start is not None or seen >= needed:
        return
    decisions = find_task(settled["task"]).default_network(case, {})
    better = next(decision.value for decision in decisions if decision.key == "network.name")
    remark = (
        f"in this run {name} sees about {number(seen)} crops and will find few objects: without pretrained "
        f"weights (--weights) it needs about {number(needed)}, unlike {better}"
    )
    yield Decision("network.name", name, "", remark)


def seconds_per_step(case: Case, settled: Mapping[str, Any]) -> float:
    """Return the time of an optimizer step, from measurements on small inputs."""
    pixels: int = settled["train.batch_size"] * prod(settled["input.crop_size"])
    parts: int = settled["train.accumulate"]
    return parts * case.measure(settled).seconds(pixels // parts)


def choose_averaging(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Average the weights over the last part of the run."""
    yield averaging(settled)


def averaging(settled: Mapping[str, Any]) -> Decision:
    """Return the decay of the weight average for a number of steps."""
    span = max(settled["train.steps"] * AVERAGED_PART, SHORTEST_AVERAGE)
    decay = min(round(1 - 1 / span, 4), SLOWEST_AVERAGE)
    span = 1 / (1 - decay)
    which = "all" if span >= settled["train.steps"] else f"about the last {span:.0f}"
    return Decision("train.ema_decay", decay, f"averages over {which} steps")


def choose_checkpoints(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Validate as often as a small fraction of the time allows, and save with each validation."""
    steps, images = settled["train.steps"], case.fingerprint.num_images.get("val", 0)
    training = steps * seconds_per_step(case, settled)
    # A forward pass is about a third of a training step.
    whole, slicing = find_task(settled["task"]).sees_whole_images, case.fingerprint.slicing
    seen = settled["input.crop_size"] if whole else case.seen(settled).median
    passes = images * (1 if slicing is None else slicing.depth)
    once = passes * case.measure(settled).seconds(prod(seen)) / 3
    times = MOST_VALIDATIONS if once == 0 else min(int(training * VALIDATION_PART / once), MOST_VALIDATIONS)
    every = max(ceil(steps / max(times, 1)), 1)
    if images == 0:
        yield Decision("train.validate_every", every, "without effect: there are no validation images")
        yield Decision("train.save_every", every, f"{max(times, 1)} times in the run")
        return
    often = "once" if times <= 1 else f"{times} times"
    taken = f"{count_words(images, 'validation image')} take about {rough_time(once)}"
    yield Decision("train.validate_every", every, f"{taken}: {often} in the run")
    yield Decision("train.save_every", settled["train.validate_every"], "together with validation")
