"""What is minimised."""

from collections.abc import Iterator, Mapping
from typing import Any

from limner.core.plan import LossTerm
from limner.networks import NETWORKS
from limner.planning.decisions import Case, Decision
from limner.planning.rules.network import gives_queries
from limner.planning.wording import share, times

FEW_CLASSES = 8
"""Up to this many classes, Dice costs little and helps thin and small ones."""

IMBALANCED = 20
"""Commonest over rarest class, in pixels, from which Dice is added whatever the number of classes."""

STRONGLY_IMBALANCED = 50
"""From here on a loss without an overlap term needs class weights."""

OVERLAP_LOSSES = ("dice", "tversky", "lovasz")
"""Losses that count each class as much as any other."""

FEW_POINTS = 1024
"""Points on which masks are compared on a CPU: crops are small there, and the paper's 12544 cost much."""

HEAVIEST = 10.0
"""Largest class weight: beyond it, the few pixels of a rare class drown in noise."""


def choose_loss(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Cross-entropy, with Dice where classes are few or unbalanced."""
    if gives_queries(settled):
        own = NETWORKS[settled["network.name"]].loss
        options = {**own, **({"num_points": FEW_POINTS} if case.machine.is_cpu else {})}
        mask = "focal loss" if own.get("mask_loss") == "focal" else "cross-entropy"
        reason = f"the network predicts a set of segments: class, {mask} and Dice of matched queries"
        yield Decision("loss.terms", (LossTerm(name="segment_set", options=options),), reason)
        return
    num_classes, ratio = case.labels.num_classes, case.fingerprint.imbalance
    both = (LossTerm(name="cross_entropy"), LossTerm(name="dice"))
    said = _imbalance(case)
    if num_classes <= FEW_CLASSES:
        yield Decision("loss.terms", both, f"Dice helps with {num_classes} classes; {said}")
    elif ratio >= IMBALANCED:
        yield Decision("loss.terms", both, f"Dice counts rare classes as much as common ones: {said}")
    else:
        reason = f"{num_classes} classes of similar size ({said}): cross-entropy alone is enough"
        yield Decision("loss.terms", both[:1], reason)


def choose_class_weights(case: Case, settled: Mapping[str, Any]) -> Iterator[Decision]:
    """Weigh the classes only where they are strongly unbalanced and no loss makes up for it."""
    if gives_queries(settled):
        yield Decision("loss.class_weights", None, "segments count alike, whatever their size")
    elif case.fingerprint.imbalance < STRONGLY_IMBALANCED:
        yield Decision("loss.class_weights", None, f"not needed: {_imbalance(case)}")
    elif any(term.name in OVERLAP_LOSSES for term in settled["loss.terms"]):
        yield Decision("loss.class_weights", None, "not needed: the overlap loss makes up for rare classes")
    else:
        reason = f"{_imbalance(case)}, and no overlap loss makes up for it"
        yield Decision("loss.class_weights", _weights(case), reason)


def _weights(case: Case) -> tuple[float, ...]:
    """Return the inverse root of each class's share, with mean 1 over the classes and a cap."""
    shares = [c.pixel_share for c in case.fingerprint.classes]
    present = [s**-0.5 for s in shares if s > 0]
    mean = sum(present) / len(present)
    return tuple(round(min(s**-0.5 / mean, HEAVIEST), 3) if s > 0 else 1.0 for s in shares)


def _imbalance(case: Case) -> str:
    classes = [c for c in case.fingerprint.classes if c.pixel_share > 0]
    if len(classes) < 2:
        return "only one class occurs"
    rare, common = min(classes, key=lambda c: c.pixel_share), max(classes, key=lambda c: c.pixel_share)
    ratio = times(common.pixel_share / rare.pixel_share)
    return f"{rare.name} is {share(rare.pixel_share)} of the pixels, {common.name} {ratio} as much"
