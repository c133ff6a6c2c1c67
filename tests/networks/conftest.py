import importlib.machinery
import json
import os
import sys
import types
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def references():
    """The table of reference networks: (name, variant) -> what was counted there."""
    folder = os.environ.get("LIMNER_SHARED", str(Path(__file__).parents[3] / "shared"))
    table = Path(folder) / "networks.json"
    if not table.is_file():
        pytest.skip(f"the table of reference networks is not at {table} (set LIMNER_SHARED)")
    return {(row["name"], row["variant"]): row for row in json.loads(table.read_text("utf-8"))}


@pytest.fixture(scope="session")
def mmseg_models():
    """mmsegmentation's modules, with a stand-in for compiled operators that no network here uses."""
    mmcv = pytest.importorskip("mmcv", reason="mmsegmentation is not installed")
    mmcv.__version__ = "2.1.0"  # mmseg 1.2.2 refuses 2.2.0, which differs in nothing used here
    if "mmcv._ext" not in sys.modules:
        operators = _CompiledOperators("mmcv._ext")
        operators.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", None)
        sys.modules["mmcv._ext"] = operators
    return pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")


@pytest.fixture
def randomize():
    """A function that draws every parameter and statistic anew, so that no part of a network is neutral."""

    def draw(network):
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

    return draw


class _CompiledOperators(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def absent(*_args, **_kwargs):
            raise RuntimeError(f"the compiled operator {name} is not here")

        return absent
