"""One file per loss: tensors in, scalar out. `LOSSES` and `DISTILLATIONS` are the tables of contents."""

import inspect
from collections.abc import Sequence

from torch import nn

from limner.core.config import refuse_unknown_options
from limner.core.errors import ConfigError, UnknownNameError
from limner.core.plan import LossTerm
from limner.losses.cross_entropy import CrossEntropyLoss
from limner.losses.dice import DiceLoss
from limner.losses.distill_cwd import ChannelWiseLoss
from limner.losses.distill_dist import CorrelationLoss
from limner.losses.distill_soft import SoftTargetLoss
from limner.losses.focal import FocalLoss
from limner.losses.lovasz import LovaszLoss
from limner.losses.tversky import TverskyLoss

LOSSES: dict[str, type[nn.Module]] = {
    "cross_entropy": CrossEntropyLoss,
    "dice": DiceLoss,
    "focal": FocalLoss,
    "lovasz": LovaszLoss,
    "tversky": TverskyLoss,
}
"""Losses of logits against labels: ``forward(logits (B, K, *S), target (B, *S)) -> scalar``."""

DISTILLATIONS: dict[str, type[nn.Module]] = {
    "distill_cwd": ChannelWiseLoss,
    "distill_dist": CorrelationLoss,
    "distill_soft": SoftTargetLoss,
}
"""Losses of a student's logits against its teacher's: ``forward(student, teacher, counted) -> scalar``."""


def build_loss(term: LossTerm, *, class_weights: Sequence[float] | None = None) -> nn.Module:
    """Build one loss of a plan, of `LOSSES` or `DISTILLATIONS`.

    Args:
        term: Name and options of the loss; the caller applies the term's weight.
        class_weights: Passed to losses that accept them, unless the options set their own.

    Raises:
        UnknownNameError: There is no such loss.
        ConfigError: An option is unknown or its value is out of range.
    """
    known = LOSSES | DISTILLATIONS
    if term.name not in known:
        raise UnknownNameError("loss", term.name, known)
    loss = known[term.name]
    refuse_unknown_options(loss, term.options, where=f"loss {term.name!r}")
    options = dict(term.options)
    if "class_weights" in inspect.signature(loss).parameters:
        options.setdefault("class_weights", class_weights)
    try:
        return loss(**options)
    except TypeError as error:  # for instance text instead of a number
        raise ConfigError(f"loss {term.name!r} cannot use its options {term.options}: {error}.") from error
