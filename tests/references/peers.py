"""What tests of several folders need to build other libraries' networks."""

import importlib.machinery
import sys
import types

import pytest
import torch


def randomize(network):
    """Draw every parameter and statistic anew, so that no part of a network is neutral."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if not tensor.dtype.is_floating_point:
            continue
        values = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(1 + 0.3 * values.abs())
        elif tensor.ndim > 1:
            tensor.copy_(values * (2 / tensor[0].numel()) ** 0.5)
        else:
            tensor.copy_(0.2 * values + (0.8 if name.endswith("weight") else 0))
    return network.eval()


def assert_same_gradients(found, expected, name=""):
    """Compare in multiples of the largest value, since gradients are sums over many voxels."""
    scale = expected.abs().max().item() or 1.0
    assert (found - expected).abs().max().item() < 1e-3 * scale + 1e-8, name


def mmseg_models():
    """Import mmsegmentation's modules, with a stand-in for compiled operators that no network here uses."""
    mmcv = pytest.importorskip("mmcv", reason="mmsegmentation is not installed")
    mmcv.__version__ = "2.1.0"  # mmseg 1.2.2 refuses 2.2.0, which differs in nothing used here
    if "mmcv._ext" not in sys.modules:
        operators = _CompiledOperators("mmcv._ext")
        operators.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)
        sys.modules["mmcv._ext"] = operators
    return pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")


class _CompiledOperators(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def absent(*_args, **_kwargs):
            raise RuntimeError(f"the compiled operator {name} is not here")

        return absent
