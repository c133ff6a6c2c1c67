"""One optimizer step: the parts of a batch, their gradients, clipping."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn.utils import get_total_norm
from torch.utils._pytree import tree_map

from limner.core.batch import Batch
from limner.layers.target_aware import target_inputs
from limner.tasks.objective import Criterion
from limner.training.sharded_model import is_sharded, local_part


@dataclass(frozen=True)
class StepResult:
    """Values of one step; tensors stay on the device, so the caller decides when to read them.

    Attributes:
        losses: Name -> scalar; ``total`` is the minimised loss.
        gradient_norm: Scalar, norm of the whole gradient before clipping.
    """

    losses: dict[str, torch.Tensor]
    gradient_norm: torch.Tensor

    def is_finite(self) -> torch.Tensor:
        """Return a scalar bool: whether loss and gradient are finite."""
        return torch.isfinite(self.losses["total"] + self.gradient_norm)


def compute_gradients(
    model: nn.Module,
    batch: Batch,
    *,
    criterion: Criterion,
    accelerator: Accelerator,
    parts: int = 1,
    share: float = 1.0,
    clip: float | None = None,
    copy: Callable[[Batch], Batch] | None = None,
    before_exchange: Callable[[], None] = lambda: None,
) -> StepResult:
    """Compute the gradient of a batch's loss, and clip it if requested.

    With several processes, gradient and losses are the means over all of them.

    Args:
        model: Prepared by `accelerator`; takes images in file values.
        batch: Batch of this process, on any device.
        criterion: The losses.
        accelerator: Device, precision and communication between processes.
        parts: Number of parts to split the batch into. Their losses are averaged, weighted by size; for a
            mean over pixels this is exact if all parts have the same number of counted pixels.
        share: Number of samples of this process, divided by the mean over the processes.
        clip: Maximum norm of the whole gradient.
        copy: Copies a batch to the device, such as `HostCopies`; None uses `Batch.to`.
        before_exchange: Called before this process first waits for others.
    """
    losses: dict[str, torch.Tensor] = {}
    pieces = split_batch(batch, parts)
    for position, piece in enumerate(pieces):
        piece = piece.to(accelerator.device) if copy is None else copy(piece)
        weight = share * len(piece.names) / len(batch.names)
        # Processes exchange gradients once, with the last part; those of a sharded model with every part,
        # since whole gradients may not fit.
        exchange = nullcontext() if position == len(pieces) - 1 else accelerator.no_sync(model)
        with exchange:
            with accelerator.autocast():
                outputs = model(piece.images, *target_inputs(model, piece.targets))
            # Losses are computed in float32 for any precision of the network: sums over a million
            # pixels lose too much in 8 bits of mantissa.
            value = criterion.loss(in_float32(outputs), piece)
            if position == len(pieces) - 1:
                before_exchange()
            accelerator.backward(value.total * weight)
        for name, loss in {"total": value.total, **value.parts}.items():
            losses[name] = losses.get(name, 0) + loss.detach() * weight
    return StepResult(_mean_of_processes(losses, accelerator), _clip(model, accelerator, clip))


def _mean_of_processes(losses: dict[str, torch.Tensor], accelerator: Accelerator) -> dict[str, torch.Tensor]:
    """Return name -> mean over the processes, all of which have the same names."""
    if accelerator.num_processes == 1:
        return losses
    mean = accelerator.reduce(torch.stack([loss.float() for loss in losses.values()]), "mean")
    return dict(zip(losses, mean.unbind(), strict=True))


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """Split a batch into `parts` of equal size; if it is not divisible, the last ones are smaller by one."""
    if parts == 1:
        return [batch]
    ends = [0]
    for images in batch.images.tensor_split(parts):
        ends.append(ends[-1] + len(images))
    return [batch.part(first, last) for first, last in pairwise(ends) if first < last]


def _clip(model: nn.Module, accelerator: Accelerator, clip: float | None) -> torch.Tensor:
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    if any(map(is_sharded, gradients)):
        return _clip_sharded(gradients, accelerator, clip)
    if clip is not None:
        return torch.as_tensor(accelerator.clip_grad_norm_(model.parameters(), clip)).detach()
    accelerator.unscale_gradients()
    return get_total_norm(gradients).detach()


def _clip_sharded(
    gradients: list[torch.Tensor], accelerator: Accelerator, clip: float | None
) -> torch.Tensor:
    """Clip gradients of which each process has a part, by the norm of the whole."""
    accelerator.unscale_gradients()
    parts = [local_part(gradient) for gradient in gradients]
    norm: torch.Tensor = accelerator.reduce(get_total_norm(parts).square(), "sum").sqrt()
    if clip is not None:
        torch._foreach_mul_(parts, (clip / (norm + 1e-6)).clamp(max=1.0))  # as torch.nn.utils does
    return norm


def in_float32(outputs: Any) -> Any:  # noqa: ANN401 - a pytree
    """Convert 16-bit tensors to float32; shared tensors stay shared."""
    converted: dict[int, torch.Tensor] = {}

    def convert(leaf: Any) -> Any:  # noqa: ANN401
        if not isinstance(leaf, torch.Tensor) or leaf.dtype not in (torch.bfloat16, torch.float16):
            return leaf
        if id(leaf) not in converted:
            converted[id(leaf)] = leaf.float()
        return converted[id(leaf)]

    return tree_map(convert, outputs)
