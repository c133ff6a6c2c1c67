"""Optimizer, learning rate and schedule."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import Decision
from limner.networks import NETWORKS
from limner.planning.decisions import Case
from limner.planning.rules.network import objective_of

ADAM_RATE, ADAM_BATCH = 1e-3, 8
"""Learning rate from scratch at this batch size; scaled with the square root of the batch, like its noise."""

SHORT_RATE, SHORT_RUN = 3e-3, {2: 1000, 3: 5000}
"""Learning rate from scratch in runs of fewer steps, by dimensions, with instance normalisation, which
tolerates it.

Measured on nuclei, 3 minutes on 2 cores, final foreground Dice: 0.80 with 1e-3, 0.89 with this. With batch
normalisation this rate is worse (0.84 and 0.75). On hippocampus in 3D at 2 mm, 700 steps with batches of 2,
mean Dice of the two structures: 0.816 with 1e-3, 0.837 with this.
"""

ADAM_PRETRAINED_RATE = 5e-4
"""Learning rate with a possibly pretrained encoder, at the same batch size."""

SGD_RATE, SGD_BATCH = 0.01, 16
"""Learning rate of the PSPNet and DeepLab papers, at their batch size; scaled linearly."""

WEIGHT_DECAY = {"adamw": 0.01, "adam": 0.0, "sgd": 5e-4}
"""AdamW's default; none for Adam, where it is L2 regularisation; that of segmentation papers for SGD."""

BACKBONE_RATE = 0.1
"""Learning rate factor of an encoder that is certainly pretrained, as in DETR and Mask2Former."""

WARMUP_PART, LONGEST_WARMUP = 0.05, 1500
"""Warm-up as a fraction of the run, and its maximum in steps."""

GRADIENT_NORM = 5.0
"""Well above usual gradient norms; limits the effect of a single outlier batch."""


def choose_optimizer(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Use AdamW, and set weight decay and clipping for the chosen optimizer."""
    yield Decision("optimizer.name", "adamw", "it is robust to the learning rate")
    name = settled["optimizer.name"]
    own = objective_of(settled).optimizer
    if own is not None and name == "adamw":
        yield Decision("optimizer.weight_decay", own.weight_decay, f"as in {own.source}")
        reason = f"as in {own.source}: limits every step"
        yield Decision("train.gradient_clip", own.gradient_norm, reason)
    else:
        yield Decision("optimizer.weight_decay", WEIGHT_DECAY[name], f"usual with {name}")
        reason = "well above usual gradient norms; limits the effect of a single outlier batch"
        yield Decision("train.gradient_clip", GRADIENT_NORM, reason)
    if settled["network.pretrained"] not in ("auto", "no") or _has_trained_encoder(case):
        reason = "an encoder that is already trained needs smaller steps than new layers"
        yield Decision("optimizer.multipliers", {"backbone": BACKBONE_RATE}, reason)


def choose_learning_rate(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Scale a known good learning rate to the batch size."""
    yield learning_rate(settled)


def learning_rate(settled: Mapping[str, Any]) -> Decision:
    """Return the learning rate for a batch size and a number of steps."""
    batch, name = settled["train.batch_size"], settled["optimizer.name"]
    if name == "sgd":
        rate = SGD_RATE * batch / SGD_BATCH
        reason = f"{SGD_RATE:g} for a batch of {SGD_BATCH}"
        reason += f", scaled linearly to this batch of {batch}" if batch != SGD_BATCH else ""
    else:
        own = objective_of(settled).optimizer
        from_scratch = settled["network.pretrained"] == "no" and settled["network.weights"] is None
        base, remark = _adam_rate(settled) if own is None else (own.rate(from_scratch=from_scratch), "")
        rate = base * (batch / ADAM_BATCH) ** 0.5
        reason = f"{base:g}{remark} for a batch of {ADAM_BATCH}"
        reason += f", scaled by the square root to {batch}" if batch != ADAM_BATCH else ""
    return Decision("optimizer.learning_rate", float(f"{rate:.3g}"), reason)


def _has_trained_encoder(case: Case) -> bool:
    return case.start is not None and NETWORKS[case.start.network.name].pretrained


def _adam_rate(settled: Mapping[str, Any]) -> tuple[float, str]:
    if settled["network.pretrained"] != "no" or settled["network.weights"] is not None:
        return ADAM_PRETRAINED_RATE, ""
    longest = SHORT_RUN[settled["input.spatial_dims"]]
    if settled["train.steps"] < longest and settled["network.options"].get("norm") == "instance":
        return SHORT_RATE, f" in a run of fewer than {longest} steps"
    return ADAM_RATE, ""


def choose_schedule(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Use polynomial decay to zero after a short warm-up."""
    yield Decision("schedule.name", "poly", "decays smoothly to zero at the end of a run of any length")
    warmup = min(int(settled["train.steps"] * WARMUP_PART), LONGEST_WARMUP)
    reason = "the first steps are small, until the optimizer's statistics are stable"
    if warmup == 0:
        reason = "the run is too short for a warm-up"
    yield Decision("schedule.warmup_steps", warmup, reason)
