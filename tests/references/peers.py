"""What tests of several folders need to build other libraries' networks."""

import importlib
import sys
import types

import pytest
import torch
from openmmlab import stand_in_for_compiled_operators

from limner.networks.weightless import uninitialized


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


def drawn(build, *arguments, **options):
    """Build a network that is randomized, without drawing its initial weights first."""
    with uninitialized():
        network = build(*arguments, **options)
    return randomize(network)


def settle(network, images):
    """Set the statistics of batch norms to those of images, so that the signal survives a deep network."""
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        network(images)
    return network.eval()


def assert_same_gradients(found, expected, name=""):
    """Compare in multiples of the largest value, since gradients are sums over many voxels."""
    scale = expected.abs().max().item() or 1.0
    assert (found - expected).abs().max().item() < 1e-3 * scale + 1e-8, name


def mmseg_models():
    """Import mmsegmentation's modules, with a stand-in for compiled operators that no network here uses."""
    _without_operators()
    return pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")


def openmmlab(package):
    """Return what builds the networks of mmdet, mmpretrain or mmocr from their settings."""
    _without_operators()
    if package == "mmocr":  # refuses versions of mmdet that differ in nothing used here
        pytest.importorskip("mmdet", reason="mmdet is not installed").__version__ = "3.1.0"
    pytest.importorskip(f"{package}.models", reason=f"{package} is not installed")
    with importlib.import_module("mmengine.registry").DefaultScope.overwrite_default_scope(package):
        importlib.import_module(f"{package}.utils").register_all_modules(init_default_scope=False)
    registry = importlib.import_module(f"{package}.registry").MODELS

    def build(settings):
        scope = importlib.import_module("mmengine.registry").DefaultScope
        with scope.overwrite_default_scope(package):
            return registry.build(importlib.import_module("mmengine").ConfigDict(settings))

    return build


def _without_operators():
    pytest.importorskip("mmcv", reason="mmcv is not installed")
    stand_in_for_compiled_operators()
    # Augmentations and datasets of mmdet and mmocr need packages that do not know numpy 2.
    parts = ("augmenters", "augmentables", "augmentables.lines", "augmentables.segmaps")
    for name in ("lmdb", "imgaug", *(f"imgaug.{part}" for part in parts)):
        sys.modules.setdefault(name, _Absent(name))


class _Named(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class _Anything(metaclass=_Named):
    pass


class _Absent(types.ModuleType):
    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything
