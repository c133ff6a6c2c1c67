"""Batches: several samples of the same size, as tensors.

Shape legend: B batch, C channels, *S spatial axes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch

from limner.core.targets import ImageTargets, Target

FormT = TypeVar("FormT")

Form = torch.Tensor | tuple[ImageTargets, ...]
"""The targets of one kind in a batch: a tensor (B, ...), or one `ImageTargets` per image."""


@dataclass(frozen=True)
class Batch:
    """Stacked samples of the same size.

    Attributes:
        images: (B, C, *S) in file values (uint8 stays uint8 until it is normalised on the device),
            channels-last in memory.
        names: B record names.
        targets: Kind -> the result of its `stack`.
    """

    images: torch.Tensor
    names: tuple[str, ...]
    targets: Mapping[type[Target[Any]], Form] = field(default_factory=dict)

    def get(self, kind: type[Target[FormT]]) -> FormT | None:
        """Return the targets of a kind, such as (B, *S) for `LabelMap`, or None if the batch has none."""
        return cast("FormT | None", self.targets.get(kind))

    def to(self, device: torch.device, *, non_blocking: bool = True) -> "Batch":
        """Return the batch on `device`, except for targets that stay on the host, see `ImageTargets.to`."""
        targets = {
            kind: form.to(device, non_blocking=non_blocking)
            if isinstance(form, torch.Tensor)
            else tuple(each.to(device, non_blocking=non_blocking) for each in form)
            for kind, form in self.targets.items()
        }
        return Batch(self.images.to(device, non_blocking=non_blocking), self.names, targets)

    def tensors(self) -> Iterator[torch.Tensor]:
        """Yield images and targets."""
        yield self.images
        for form in self.targets.values():
            if isinstance(form, torch.Tensor):
                yield form
                continue
            values = (getattr(each, f.name) for each in form for f in fields(each))
            yield from (value for value in values if isinstance(value, torch.Tensor))

    def part(self, first: int, last: int) -> "Batch":
        """Return samples `first` to `last` (exclusive), as views."""
        targets = {kind: form[first:last] for kind, form in self.targets.items()}
        return Batch(self.images[first:last], self.names[first:last], targets)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all data as arrays: ``images``, ``names``, and the targets by the key of their kind.

        Kinds with separate targets per image have keys such as ``segments_masks_I`` for image number I.
        Those that an image lacks are left out.
        """
        found: dict[str, Any] = {"images": self.images, "names": self.names}
        for kind, form in self.targets.items():
            if isinstance(form, torch.Tensor):
                found[kind.key] = form
                continue
            for number, each in enumerate(form):
                values = {f"{kind.key}_{f.name}_{number}": getattr(each, f.name) for f in fields(each)}
                found |= {name: value for name, value in values.items() if value is not None}
        return {name: _array(value) for name, value in found.items()}


def _array(value: torch.Tensor | tuple[str | None, ...]) -> npt.NDArray[Any]:
    """Return tensors as arrays, and texts as an array of strings; unknown texts are empty."""
    if isinstance(value, torch.Tensor):
        return value.cpu().numpy()
    return np.array([word or "" for word in value], np.str_)


def empty_tensor(shape: tuple[int, ...], dtype: npt.DTypeLike, *, pin_memory: bool) -> torch.Tensor:
    """Return an uninitialised tensor with the torch type of a numpy type, optionally in pinned memory."""
    torch_dtype = torch.from_numpy(np.empty(0, dtype)).dtype
    return torch.empty(shape, dtype=torch_dtype, pin_memory=pin_memory)
