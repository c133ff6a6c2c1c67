"""The deepest features of a network, averaged over an image while it is predicted.

Shape legend: B batch, F features, *s spatial axes of a layer's output.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Vector = npt.NDArray[np.float32]
"""(F,) of one image."""


@dataclass
class _Seen:
    """What a layer returned during one prediction.

    Attributes:
        positions: Number of positions of its map.
        runs: Means (F,) over batch and positions, one for each run.
    """

    positions: int
    runs: list[Vector] = field(default_factory=list)


class DeepFeatures:
    """Collects the means of one layer: the last of those with the coarsest map.

    Layers that run several times in each run of the network, as heads of a pyramid, are no candidates.

    Args:
        network: Any network; it is chosen with the first image. Some have no such layer, as exported ones.

    Attributes:
        layer: Its name; None before the first image, and if there is none.
    """

    def __init__(self, network: nn.Module) -> None:
        self.layer: str | None = None
        self._network = network
        self._is_chosen = False

    def choose(self, layer: str | None) -> None:
        """Collect the means of a layer that was chosen before, or of none."""
        self.layer, self._is_chosen = layer, True

    @contextmanager
    def watch(self) -> Iterator[list[Vector]]:
        """Yield a list, which has the mean (F,) of each run of the network when the block ends."""
        modules = dict(self._network.named_modules())
        watched = {self.layer: modules[self.layer]} if self.layer is not None else modules
        seen: dict[str, _Seen] = {}
        num_runs = 0

        def count(module: nn.Module, inputs: object, output: object) -> None:
            nonlocal num_runs
            num_runs += 1

        hooks = [self._network.register_forward_hook(count)]
        if self.layer is not None or not self._is_chosen:
            hooks += [m.register_forward_hook(_note(n, seen)) for n, m in watched.items() if n]
        found: list[Vector] = []
        try:
            yield found
        finally:
            for hook in hooks:
                hook.remove()
        if not self._is_chosen:
            self.choose(_deepest(seen, num_runs))
        if self.layer is not None:
            found += seen[self.layer].runs


def _note(name: str, seen: dict[str, _Seen]) -> Callable[[nn.Module, object, object], None]:
    def hook(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim in (4, 5) and output.is_floating_point():
            axes = (0, *range(2, output.ndim))
            mean: Vector = output.detach().float().mean(axes).cpu().numpy()
            seen.setdefault(name, _Seen(prod(output.shape[2:]))).runs.append(mean)

    return hook


def _deepest(seen: dict[str, _Seen], num_runs: int) -> str | None:
    """Return the last layer with the coarsest map of more than one position that ran once in each run."""
    once = {name: one for name, one in seen.items() if len(one.runs) == num_runs and one.positions > 1}
    if not once:
        return None
    coarsest = min(one.positions for one in once.values())
    return [name for name, one in once.items() if one.positions == coarsest][-1]
