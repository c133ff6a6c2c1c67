"""What mmsegmentation's configurations say of a network that its tensors do not show."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from limner.core.errors import ModelError, describe
from limner.networks.backbones.mobilenetv3 import EPSILON, MOBILENETV3S
from limner.networks.backbones.resnet import ALL_RESNETS
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.renaming import Renamed
from limner.weights.sources.facts.openmmlab_facts import refuse_caffe_style, section
from limner.weights.sources.pixels.mmseg_names import TITLE

HEAD: Mapping[str, Any] = {
    "align_corners": False,
    "pool_scales": (1, 2, 3, 6),
    "dilation": 1,
    "recurrence": 2,
    "num_stages": 3,
    "query_scales": (1,),
    "key_pool_scales": (1, 3, 6, 8),
    "act_cfg": {"type": "ReLU"},
}
"""Settings of decode heads -> the values that limner's networks have, mmsegmentation's defaults."""

BACKBONE: Mapping[str, Any] = {"dcn": None, "plugins": None, "widen_factor": 1.0}
"""The same of backbones."""

USUAL_EPS = 1e-5
"""PyTorch's eps of batch norms, which mmsegmentation's have unless the configuration says otherwise."""


def refuse_mmseg_variants(model: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    """Refuse what the configuration says of a network that limner computes otherwise.

    Raises:
        ModelError: A setting of `HEAD` or `BACKBONE` has another value, or the backbone has a multi-grid.
    """
    refuse_caffe_style(checkpoint)
    other = []
    for part, usual in (("decode_head", HEAD), ("backbone", BACKBONE)):
        for said in _sections(model, part):
            other += [f"{key} {said[key]!r}" for key, value in usual.items() if _differs(said, key, value)]
    grid = section(model, "backbone").get("multi_grid")
    if grid and set(grid) != {1}:
        other.append(f"multi_grid {tuple(grid)}, which are dilations there and factors in limner")
    if other:
        usual_words = ", ".join(f"{key} {value!r}" for key, value in {**HEAD, **BACKBONE}.items())
        raise _variant(", ".join(other), f"{usual_words}, and no multi_grid", checkpoint)


def is_uniformly_dilated(model: Mapping[str, Any], backbone: str, checkpoint: Checkpoint) -> bool:
    """Return whether a ResNet dilates all blocks of a stage alike, which mmsegmentation calls not contracted.

    Raises:
        ModelError: It dilates otherwise than its strides tell, or limner lacks this way for its blocks.
    """
    said = section(model, "backbone")
    dilations, strides = said.get("dilations"), said.get("strides")
    if backbone not in ALL_RESNETS or not dilations or set(dilations) == {1}:
        return False
    if strides and tuple(dilations) != _expected(strides):
        raise _variant(f"dilations {tuple(dilations)}", f"{_expected(strides)} for these strides", checkpoint)
    if said.get("contract_dilation", False):
        return False
    if not ALL_RESNETS[backbone].bottleneck:
        raise _variant("contract_dilation False", "contract_dilation True for ResNet-18 and 34", checkpoint)
    return True


def keep_eps(model: Mapping[str, Any], backbone: str, renamed: Renamed) -> None:
    """Add the differences of the batch norms' eps to the variances, which gives the same outputs."""
    is_mobile = backbone in MOBILENETV3S
    usual = EPSILON if is_mobile and not model else USUAL_EPS  # all published configurations of it say 0.001
    wider = {}
    for part, ours in (("backbone", EPSILON if is_mobile else USUAL_EPS), ("decode_head", USUAL_EPS)):
        said = [section(one, "norm_cfg").get("eps", usual) for one in _sections(model, part)]
        wider[part] = float(said[-1] if said else usual) - ours
    for name in [name for name in renamed.tensors if name.endswith(".running_var")]:
        more = wider["backbone" if name.startswith("backbone.") else "decode_head"]
        if more:
            renamed.change(name, partial(_plus, more), f"{more:+g}: the eps of the norms differs there")


def _sections(model: Mapping[str, Any], part: str) -> tuple[Mapping[str, Any], ...]:
    """Return a part of the configuration, or all of a cascade of several heads."""
    found = model.get(part)
    parts = found if isinstance(found, list) else [found]
    return tuple(one for one in parts if isinstance(one, Mapping))


def _plus(more: float, variances: torch.Tensor) -> torch.Tensor:
    return variances + more


def _differs(said: Mapping[str, Any], key: str, usual: Any) -> bool:  # noqa: ANN401 - any plain value
    if key not in said:
        return False
    found = said[key]
    if isinstance(found, Mapping):
        found = {"type": found.get("type")}  # besides details that change nothing, such as inplace
    elif isinstance(found, list):
        found = tuple(found)
    return bool(found != usual)


def _expected(strides: Sequence[int]) -> tuple[int, ...]:
    """Return the dilations that replace the strides of 1 after the first stage."""
    dilations = [1]
    for stride in strides[1:]:
        dilations.append(dilations[-1] * (2 if stride == 1 else 1))
    return tuple(dilations)


def _variant(found: str, expected: str, checkpoint: Checkpoint) -> ModelError:
    return ModelError(
        describe(
            f"The checkpoint is a variant of {TITLE}'s networks that limner does not have",
            where=checkpoint.path,
            found=found,
            expected=expected,
        )
    )
