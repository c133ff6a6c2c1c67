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
    with torch.device("meta"), _WithoutRandomNumbers():
        yield


@contextmanager
def uninitialized() -> Iterator[None]:
    """Build modules whose weights are all loaded next: most of their initial weights are not drawn.

    Until then, parameters may have the values that happen to be in memory. Everything else that a constructor
    computes, such as indices, is as usual. Methods of tensors still draw numbers, since some functions draw
    again until they find what they need.
    """
    with _WithoutInitialWeights():
        yield


class _WithoutInitialWeights(TorchFunctionMode):
    """Leaves tensors unchanged that functions of `torch.nn.init` would fill, if they can be replaced."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        given = dict(kwargs or {})
        if getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


class _WithoutRandomNumbers(_WithoutInitialWeights):
    """Also replaces the methods of tensors that draw numbers, and `torch.randn` by `torch.empty`."""

    _RANDOM = frozenset({Tensor.normal_, Tensor.uniform_})

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        if func in self._RANDOM:
            return args[0]
        return super().__torch_function__(torch.empty if func is torch.randn else func, types, args, kwargs)
