"""How the weights move."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.networks import NETWORKS
from limner.planning.decisions import Case
from limner.planning.rules.network import objective_of

ADAM_RATE, ADAM_BATCH = 1e-3, 8
"""Rate for weights from scratch at this batch; scaled by the root of the batch, as its noise is."""

SHORT_RATE, SHORT_RUN = 3e-3, 1000
"""Rate for weights from scratch in runs of fewer steps, with instance normalisation, which bears it.

Measured on nuclei, 3 minutes on 2 cores, foreground Dice at the end: 0.80 with 1e-3, 0.89 with this. With
batch normalisation the same rate loses (0.84 and 0.75).
"""

ADAM_PRETRAINED_RATE = 5e-4
"""Rate where the encoder may already know something, at the same batch."""

SGD_RATE, SGD_BATCH = 0.01, 16
"""The rate of PSPNet's and DeepLab's papers, at their batch; scaled in proportion."""

WEIGHT_DECAY = {"adamw": 0.01, "adam": 0.0, "sgd": 5e-4}
"""AdamW's own default; none for Adam, whose decay is no decay; the segmentation papers' for SGD."""

BACKBONE_RATE = 0.1
"""Part of the rate for an encoder that is surely pretrained, as DETR and Mask2Former do."""

WARMUP_PART, LONGEST_WARMUP = 0.05, 1500
"""Warm-up as a part of the run, and its longest in steps."""

GRADIENT_NORM = 5.0
"""Well above the usual norm; keeps one odd batch from throwing the weights."""


def choose_optimizer(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """AdamW, with what goes with the optimizer that is settled."""
    yield Decision("optimizer.name", "adamw", "it forgives a learning rate that is not quite right")
    name = settled["optimizer.name"]
    own = objective_of(settled).optimizer
    if own is not None and name == "adamw":
        yield Decision("optimizer.weight_decay", own.weight_decay, f"as {own.source}")
        yield Decision("train.gradient_clip", own.gradient_norm, f"as {own.source}: every step alike")
    else:
        yield Decision("optimizer.weight_decay", WEIGHT_DECAY[name], f"usual with {name}")
        reason = "well above usual gradients; one odd batch cannot throw the weights"
        yield Decision("train.gradient_clip", GRADIENT_NORM, reason)
    if settled["network.pretrained"] == "yes" or _has_trained_encoder(case):
        reason = "a pretrained encoder needs smaller steps than a fresh decoder"
        yield Decision("optimizer.multipliers", {"backbone": BACKBONE_RATE}, reason)


def choose_learning_rate(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Scale a rate that is known to work to the batch at hand."""
    batch, name = settled["train.batch_size"], settled["optimizer.name"]
    if name == "sgd":
        rate = SGD_RATE * batch / SGD_BATCH
        reason = f"{SGD_RATE:g} for a batch of {SGD_BATCH}, in proportion to this one of {batch}"
    else:
        own = objective_of(settled).optimizer
        base, remark = _adam_rate(case, settled) if own is None else (own.learning_rate, "")
        rate = base * (batch / ADAM_BATCH) ** 0.5
        reason = f"{base:g}{remark} for a batch of {ADAM_BATCH}, by the root of this one of {batch}"
    yield Decision("optimizer.learning_rate", float(f"{rate:.3g}"), reason)


def _has_trained_encoder(case: Case) -> bool:
    return case.start is not None and NETWORKS[case.start.network.name].pretrained


def _adam_rate(case: Case, settled: Mapping[str, Any]) -> tuple[float, str]:
    if settled["network.pretrained"] != "no" or case.start is not None:
        return ADAM_PRETRAINED_RATE, ""
    steps = settled["train.steps"]
    if steps < SHORT_RUN and settled["network.options"].get("norm") == "instance":
        return SHORT_RATE, f" in a run of {steps} steps"
    return ADAM_RATE, ""


def choose_schedule(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Fall to nothing by a power, after a short rise."""
    yield Decision("schedule.name", "poly", "falls smoothly to nothing at the end, however long the run")
    steps = settled["train.steps"]
    warmup = min(int(steps * WARMUP_PART), LONGEST_WARMUP)
    reason = f"the first steps of {steps} are small, until the statistics have settled"
    yield Decision("schedule.warmup_steps", warmup, reason)
