"""One file per loss: tensors in, scalar out. `LOSSES` and `DISTILLATIONS` are the main tables of contents."""

import inspect
from collections.abc import Mapping, Sequence

from torch import nn

from limner.core.config import refuse_unknown_options
from limner.core.errors import ConfigError, UnknownNameError
from limner.core.plan import LossTerm
from limner.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from limner.losses.cross_entropy import CrossEntropyLoss
from limner.losses.dice import DiceLoss
from limner.losses.distill_cwd import ChannelWiseLoss
from limner.losses.distill_dist import CorrelationLoss
from limner.losses.distill_features import FeatureLoss
from limner.losses.distill_queries import QueryDistillationLoss
from limner.losses.distill_soft import SoftTargetLoss
from limner.losses.focal import BinaryFocalLoss, FocalLoss
from limner.losses.lovasz import LovaszLoss
from limner.losses.one_hot_l1 import OneHotL1Loss
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

CLASS_DISTILLATIONS: dict[str, type[nn.Module]] = {
    "distill_soft": SoftTargetLoss,
    "distill_dist": CorrelationLoss,
}
"""Those of `DISTILLATIONS` that need no pixels, for classes of whole images."""

FEATURE_DISTILLATIONS: dict[str, type[nn.Module]] = {"distill_features": FeatureLoss}
"""Losses of a layer of a student against one of its teacher's."""

QUERY_DISTILLATIONS: dict[str, type[nn.Module]] = {"distill_queries": QueryDistillationLoss}
"""Losses of a student's set of segments against its teacher's."""

CLASS_LOSSES: dict[str, type[nn.Module]] = {
    "cross_entropy": CrossEntropyLoss,
    "focal": FocalLoss,
    "one_hot_l1": OneHotL1Loss,
}
"""Losses of images with one class each."""

TAG_LOSSES: dict[str, type[nn.Module]] = {
    "binary_cross_entropy": BinaryCrossEntropyLoss,
    "binary_focal": BinaryFocalLoss,
}
"""Losses of images with any number of classes."""


def build_loss(
    term: LossTerm,
    *,
    class_weights: Sequence[float] | None = None,
    losses: Mapping[str, type[nn.Module]] = LOSSES | DISTILLATIONS,
) -> nn.Module:
    """Build one loss of a plan, by default of `LOSSES` or `DISTILLATIONS`.

    Args:
        term: Name and options of the loss; the caller applies the term's weight.
        class_weights: Passed to losses that accept them, unless the options set their own.
        losses: The table of the losses.

    Raises:
        UnknownNameError: There is no such loss.
        ConfigError: An option is unknown or its value is out of range.
    """
    if term.name not in losses:
        raise UnknownNameError("loss", term.name, losses)
    loss = losses[term.name]
    refuse_unknown_options(loss, term.options, where=f"loss {term.name!r}")
    options = dict(term.options)
    if "class_weights" in inspect.signature(loss).parameters:
        options.setdefault("class_weights", class_weights)
    try:
        return loss(**options)
    except TypeError as error:  # for instance text instead of a number
        raise ConfigError(f"loss {term.name!r} cannot use its options {term.options}: {error}.") from error
