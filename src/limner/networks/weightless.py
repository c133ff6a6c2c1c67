"""Networks without weights, to check options and to read shapes and costs, or to load all weights next."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@contextmanager
def weightless() -> Iterator[None]:
    """Build modules on the meta device: with shapes, without memory and without initial weights.

    Random numbers are not drawn. On the meta device they would have no values, but the first call to
    `Tensor.normal_` takes three seconds, in which PyTorch imports its decompositions.
    """
    with torch.device("meta"), uninitialized():
        yield


@contextmanager
def uninitialized() -> Iterator[None]:
    """Build modules whose weights are all loaded next: initial weights would be drawn in vain.

    Until then, parameters have the values that happen to be in memory. Everything else that a constructor
    computes, such as indices, is as usual. The random numbers of PyTorch stay where they are.
    """
    with _WithoutRandomNumbers():
        yield


class _WithoutRandomNumbers(TorchFunctionMode):
    """Replaces `torch.randn` by `torch.empty`, and leaves tensors to be initialised unchanged."""

    _RANDOM = frozenset({Tensor.normal_, Tensor.uniform_, Tensor.erfinv_})
    """With `Tensor.erfinv_`, which truncates normal numbers, and is the slowest of them."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        given = dict(kwargs or {})
        if func in self._RANDOM or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else given["tensor"]
        return (torch.empty if func is torch.randn else func)(*args, **given)
