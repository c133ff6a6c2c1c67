"""Batch size, accumulation, precision, workers and compiling."""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from limner.core.plan import Decision
from limner.core.wording import count_words, memory, size
from limner.planning.cost import Cost
from limner.planning.decisions import Case
from limner.planning.rules.duration import training_seconds
from limner.planning.rules.input import memory_budget
from limner.planning.rules.network import objective_of, preset_of
from limner.planning.rules.patch import batch_of_volumes

MOST_WORKERS = 8
"""Maximum number of loading threads; more do not help, since only decoding releases the GIL."""


FEWEST_STEPS, SMALLEST_BATCH = 40, 2
"""Steps that a time budget should allow, and how far the batch is halved for them.

Narrow U-Nets on as many crops of 256x256, seeds 0 and 1. Nuclei, foreground Dice: 0.596 and 0.601 after
6 steps of 8 crops, 0.617 and 0.670 after 12 of 4, 0.628 and 0.699 after 24 of 2. Polyps, mean IoU: 0.447 and
0.528 after 24 steps of 8, 0.474 and 0.569 after 48 of 4, 0.452 and 0.572 after 96 of 2.
"""


def choose_precision(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Use a 16-bit format if the device supports it."""
    name = "this CPU" if case.machine.is_cpu else case.machine.name
    if case.machine.fast_bfloat16:
        yield Decision("train.precision", "bfloat16", f"{name} computes in bfloat16, about twice as fast")
    elif case.machine.fast_float16:
        yield Decision("train.precision", "float16", f"{name} computes in float16, not in bfloat16")
    else:
        yield Decision("train.precision", "float32", f"{name} has no fast 16-bit format")


def choose_batch(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Use the preset's batch size, at most the number of images, split into parts that fit in memory."""
    preset, images = preset_of(case, settled), case.fingerprint.num_samples
    crop = settled["input.crop_size"]
    cost = case.cost(settled)
    budget = memory_budget(case)
    fitting = max(cost.pixels_that_fit(budget, optimizer=settled["optimizer.name"]) // prod(crop), 1)
    wanted = preset.batch_size
    if case.spatial_dims == 3 and not case.machine.is_cpu:
        wanted = batch_of_volumes(case, settled)
    own = objective_of(settled).optimizer
    reason = f"{min(fitting, 9999)} crops of {size(crop)} fit in {memory(budget)}"
    if case.machine.is_cpu and own is not None and own.batch_on_cpu < wanted:
        wanted = own.batch_on_cpu
        reason += "; a step of this network is slow on a CPU"
    if wanted > max(images, 2):
        training = count_words(images, f"training {case.fingerprint.sample_noun}")
        reason += f"; there {'is' if images == 1 else 'are'} {training}"
    while wanted > max(images, 2):
        wanted //= 2
    affordable = batch_for_enough_steps(case, settled, cost, wanted)
    if affordable < wanted:
        reason += f"; with {wanted}, {case.minutes:g} min would allow fewer than {FEWEST_STEPS} steps here"
        wanted = affordable
    yield Decision("train.batch_size", wanted, reason)
    batch = settled["train.batch_size"]
    parts = next((n for n in range(1, batch + 1) if batch % n == 0 and batch // n <= fitting), batch)
    needed = cost.training_bytes(batch // parts * prod(crop), optimizer=settled["optimizer.name"])
    held = "the whole batch" if parts == 1 else f"a part of {batch // parts}"
    reason = f"{held} takes about {memory(needed)} of {memory(budget)}"
    yield Decision("train.accumulate", parts, reason)


def batch_for_enough_steps(case: Case, settled: Mapping[str, Any], cost: Cost, batch: int) -> int:
    """Halve a batch until a time budget allows enough steps, if statistics of batches are not needed."""
    free_of_batch = settled["network.options"].get("norm") == "instance"
    if case.minutes is None or not case.machine.is_cpu or not free_of_batch:
        return batch
    seconds = training_seconds(case.minutes) / FEWEST_STEPS
    while batch > SMALLEST_BATCH and cost.seconds(batch * prod(settled["input.crop_size"])) > seconds:
        batch //= 2
    return batch


def choose_workers(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Leave most cores to the network when training on the CPU."""
    cores = case.machine.num_cores
    workers = max(1, cores // 4) if case.machine.is_cpu else max(1, min(cores - 1, MOST_WORKERS))
    place = "the network needs the others" if case.machine.is_cpu else "one is reserved for the training loop"
    if workers == cores:
        place = "shared with the training loop"
    yield Decision("train.workers", workers, f"of {count_words(cores, 'core')}; {place}")


def choose_compiling(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Let runs on accelerators try whether to compile the network, unless devices divide it."""
    if settled["train.sharding"] == "full":
        reason = "devices gather the weights of a sharded model block by block, where compiled code would end"
        yield Decision("train.compile", False, reason)
    elif not case.machine.is_cpu:
        reason = "the run tries in its first minute whether compiling pays"
        yield Decision("train.compile", None, reason)
