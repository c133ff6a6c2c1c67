"""Published encoder weights: from the hub, or from a file on disk."""

import _codecs
import logging
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse
from urllib.request import getproxies

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from limner.core.errors import ConfigError, ModelError, describe, did_you_mean
from limner.networks.backbones.vit import ViT

logger = logging.getLogger("limner.networks")

Pretrained = bool | Literal["auto", "yes", "no"] | Path
"""`yes` (or True) insists; `auto` starts from scratch, and says so, where the weights cannot be had; a path
is a file of weights, .safetensors or .pth."""


def load_pretrained(backbone: nn.Module, name: str, pretrained: Pretrained, *, in_channels: int) -> None:
    """Fill a backbone with published weights.

    Args:
        backbone: One whose parameters are named as timm names them.
        name: timm's name of the model, with or without a tag such as ``resnet50.a1_in1k``.
        pretrained: Whether, and from where.
        in_channels: Channels of the image; the first convolution's weights are adapted to them.

    Raises:
        ConfigError: Weights are insisted on and cannot be had.
        ModelError: The file is damaged or belongs to another model.
    """
    if pretrained in (False, "no"):
        return
    if isinstance(pretrained, Path):
        weights, where = read_weight_file(pretrained), str(pretrained)
    else:
        insists = pretrained in (True, "yes")
        try:
            weights, where = fetch_from_hub(name), f"the published weights of {name}"
        except Exception as error:  # noqa: BLE001 - the hub's library fails in many ways, all of them final here
            _explain(name, error, insists=insists)
            return
    _fill(backbone, weights, where=where, in_channels=in_channels)


def fetch_from_hub(name: str) -> dict[str, torch.Tensor]:
    """Download (or take from the cache) the weights that timm publishes for a model.

    Raises:
        LookupError: Nobody publishes weights for it.
        Exception: Whatever the hub's library raises where it cannot be reached.
    """
    import timm  # slow to import, and seldom needed
    from huggingface_hub import constants

    if not timm.is_model_pretrained(name) and not timm.list_pretrained(f"{name}.*"):
        near = did_you_mean(name, timm.list_models(pretrained=True))
        raise LookupError(f"nobody publishes any{near}")
    was_offline = constants.HF_HUB_OFFLINE
    # Without an answer from the name server the hub's library would try for half a minute; offline it looks
    # into its cache and says at once what is missing.
    constants.HF_HUB_OFFLINE = was_offline or not _resolves(constants.ENDPOINT)
    try:
        state: dict[str, torch.Tensor] = timm.create_model(name, pretrained=True).state_dict()
    finally:
        constants.HF_HUB_OFFLINE = was_offline
    return state


def _resolves(address: str) -> bool:
    """Tell whether a web address may be reached; behind a proxy, the proxy has to find out."""
    if getproxies():
        return True
    try:
        socket.getaddrinfo(urlparse(address).hostname, 443)
    except OSError:
        return False
    return True


def read_weight_file(path: Path) -> dict[str, torch.Tensor]:
    """Read a file of named tensors; a pickle that holds anything else is refused.

    Raises:
        ModelError: There is no such file, or it is damaged, or it holds more than tensors.
    """
    if not path.is_file():
        raise ModelError(describe("There is no such file of weights", where=path))
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_numpy_values()):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, ImportError) as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # noqa: BLE001 - the pickle module's own errors share no base
        raise _unreadable(path, error) from error
    return named_tensors(state, path)


def _numpy_values() -> list[Any]:
    """Return what a pickle needs for the numpy values that training scripts keep beside their weights."""
    makers = {"scalar": np.float64(0).__reduce__()[0], "_reconstruct": np.zeros(1).__reduce__()[0]}
    names = [
        (maker, f"numpy.{core}.multiarray.{name}")
        for name, maker in makers.items()
        for core in ("core", "_core")  # numpy 1 and numpy 2
    ]
    kinds = {type(np.dtype(code)) for code in "?bhilqBHILQefd"}
    return [*names, np.dtype, np.ndarray, _codecs.encode, *kinds]


def named_tensors(state: object, path: Path) -> dict[str, torch.Tensor]:
    """Return the table of tensors that a training script wrote, taken out of what it wrapped it in.

    Raises:
        ModelError: There is no such table.
    """
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        expected = "a table of name -> tensor, alone or under the key state_dict or model"
        raise ModelError(describe("The file holds no table of named tensors", where=path, expected=expected))
    return {str(name): value for name, value in state.items()}


def adapt_input_channels(weight: torch.Tensor, in_channels: int) -> torch.Tensor:
    """Adapt the weights of a first convolution to another number of image channels.

    One channel sees the sum of the filters, which answers to grey as the filters did; more channels repeat
    red, green, blue in turn, scaled so that the size of the answer stays.

    Args:
        weight: (out, have, kH, kW).
        in_channels: Channels wanted.
    """
    have = weight.shape[1]
    if in_channels == have:
        return weight
    if in_channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, -(-in_channels // have), 1, 1)[:, :in_channels]
    return repeated * (have / in_channels)


def _fill(backbone: nn.Module, weights: dict[str, torch.Tensor], *, where: str, in_channels: int) -> None:
    given = {_plain(key): value for key, value in weights.items()}
    wanted = backbone.state_dict()
    weights = {key: given[_plain(key)] for key in wanted if _plain(key) in given}
    first = next(key for key, value in wanted.items() if value.ndim == 4)
    if first in weights:
        weights[first] = adapt_input_channels(weights[first], in_channels)
    if isinstance(backbone, ViT) and first in weights:
        weights[first] = _resize_patches(weights[first], wanted[first].shape[2:])
    if isinstance(backbone, ViT) and "pos_embed" in weights:
        weights["pos_embed"] = backbone.fit_positions(weights["pos_embed"])
    fresh = backbone.additions() if isinstance(backbone, ViT) else set()
    missing = sorted(wanted.keys() - weights.keys() - fresh)
    misshapen = sorted(
        key for key in wanted.keys() & weights.keys() if wanted[key].shape != weights[key].shape
    )
    if missing or misshapen:
        wrong = (missing or misshapen)[0]
        raise ModelError(
            describe(
                "The encoder weights belong to another model",
                where=where,
                found=f"{len(missing)} parameters missing, {len(misshapen)} of another shape, first {wrong}",
                expected=f"all {len(wanted)} parameters of the encoder",
                fix="Name the backbone that these weights were made for.",
            )
        )
    backbone.load_state_dict({**wanted, **weights})


def _resize_patches(weight: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Turn the weights of patches of another size into some that answer alike (FlexiViT, CVPR 2023)."""
    if weight.shape[2:] == torch.Size(size):
        return weight
    from timm.layers.patch_embed import resample_patch_embed  # slow to import, and seldom needed

    resized: torch.Tensor = resample_patch_embed(weight, list(size))
    return resized


def _plain(key: str) -> str:
    """Undo the renaming of timm's feature wrappers: ``model.stages_0.norm`` stands for ``stages.0.norm``."""
    while key.startswith("model."):
        key = key.removeprefix("model.")
    return key.replace(".", "_")


def _explain(name: str, error: Exception, *, insists: bool) -> None:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")
    if insists:
        raise ConfigError(
            describe(
                f"The published weights of {name} cannot be had",
                found=f"{type(error).__name__}: {reason}",
                fix="Connect to huggingface.co, give a weight file, or start from scratch: pretrained no.",
            )
        ) from error
    logger.warning(
        "The published weights of %s cannot be had (%s), so its encoder starts from scratch: expect to need "
        "more images and more steps.",
        name,
        reason,
    )


def _unreadable(path: Path, error: Exception) -> ModelError:
    refused = re.search(r"GLOBAL (\S+)", str(error))
    found = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return ModelError(
        describe(
            "The file of weights cannot be read" if refused is None else "The pickle was refused",
            where=path,
            found=found
            if refused is None
            else f"it asks for {refused[1]}, which could run code; nothing was run",
            expected="a .safetensors or .pth file that holds nothing but tensors",
        )
    )
