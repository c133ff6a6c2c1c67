"""Pretrained encoder weights, from the Hugging Face hub or a file on disk."""

import _codecs
import logging
import re
import socket
from collections.abc import Mapping, Sequence
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
"""`yes` (or True) fails if the weights are unavailable; `auto` then trains from scratch and warns; a path
names a weight file, .safetensors or .pth."""


def load_pretrained(backbone: nn.Module, name: str, pretrained: Pretrained, *, in_channels: int) -> None:
    """Load pretrained weights into a backbone.

    Args:
        backbone: A backbone with timm's parameter names.
        name: Name of the timm model, with or without a tag such as ``resnet50.a1_in1k``.
        pretrained: Whether to load weights, and from where.
        in_channels: Channels of the image; the first convolution's weights are adapted to them.

    Raises:
        ConfigError: Weights are required but unavailable.
        ModelError: The file is damaged or belongs to another model.
    """
    if pretrained in (False, "no"):
        return
    if isinstance(pretrained, Path):
        weights, where = read_weight_file(pretrained), str(pretrained)
    else:
        required = pretrained in (True, "yes")
        try:
            weights, where = fetch_from_hub(name), f"the pretrained weights of {name}"
        except Exception as error:  # noqa: BLE001 - the hub raises many kinds
            _explain(name, error, required=required)
            return
    fill_backbone(backbone, weights, where=where, in_channels=in_channels)


def fetch_from_hub(name: str) -> dict[str, torch.Tensor]:
    """Download (or take from the cache) the weights that timm publishes for a model.

    Raises:
        LookupError: There are no published weights for it.
        Exception: Any error of the hub's library, for instance if the hub cannot be reached.
    """
    import timm  # slow to import, and rarely needed
    from huggingface_hub import constants

    if not timm.is_model_pretrained(name) and not timm.list_pretrained(f"{name}.*"):
        near = did_you_mean(name, timm.list_models(pretrained=True))
        raise LookupError(f"none are published{near}")
    was_offline = constants.HF_HUB_OFFLINE
    # If DNS does not answer, the hub's library retries for half a minute; in offline mode it looks into its
    # cache and reports at once what is missing.
    constants.HF_HUB_OFFLINE = was_offline or not _resolves(constants.ENDPOINT)
    try:
        state: dict[str, torch.Tensor] = timm.create_model(name, pretrained=True).state_dict()
    finally:
        constants.HF_HUB_OFFLINE = was_offline
    return state


def _resolves(address: str) -> bool:
    """Return whether a host name resolves; True behind a proxy, which resolves names itself."""
    if getproxies():
        return True
    try:
        socket.getaddrinfo(urlparse(address).hostname, 443)
    except OSError:
        return False
    return True


def read_weight_file(path: Path) -> dict[str, torch.Tensor]:
    """Read a file of named tensors; pickles with anything else are rejected.

    Raises:
        ModelError: The file does not exist, is damaged, or contains more than tensors.
    """
    if not path.is_file():
        raise ModelError(describe("The weight file does not exist", where=path))
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(safe_numpy_values()):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, ImportError) as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # noqa: BLE001 - pickle errors share no base class
        raise _unreadable(path, error) from error
    return named_tensors(state, path)


def safe_numpy_values() -> list[Any]:
    """Return the names of numpy values that training scripts store beside their weights.

    They build an array or a number, and `torch.serialization.safe_globals` takes them.
    """
    makers = {"scalar": np.float64(0).__reduce__()[0], "_reconstruct": np.zeros(1).__reduce__()[0]}
    names = [
        (maker, f"numpy.{core}.multiarray.{name}")
        for name, maker in makers.items()
        for core in ("core", "_core")  # numpy 1 and numpy 2
    ]
    kinds = {type(np.dtype(code)) for code in "?bhilqBHILQefd"}
    return [*names, np.dtype, np.ndarray, _codecs.encode, *kinds]


def named_tensors(state: object, path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in a checkpoint, unwrapped from ``state_dict`` or ``model``.

    Raises:
        ModelError: The checkpoint contains no state dict.
    """
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        expected = "a mapping of name -> tensor, at the top level or under the key state_dict or model"
        raise ModelError(describe("The file contains no state dict", where=path, expected=expected))
    return {str(name): value for name, value in state.items()}


def adapt_input_channels(weight: torch.Tensor, in_channels: int) -> torch.Tensor:
    """Adapt the weights of a first convolution to another number of image channels.

    A single channel gets the sum of the filters, which responds to grey as the original did. More channels
    repeat red, green and blue in turn, scaled to keep the magnitude of the response.

    Args:
        weight: (out_channels, old_in_channels, kH, kW).
        in_channels: Number of channels after adapting.
    """
    have = weight.shape[1]
    if in_channels == have:
        return weight
    if in_channels == 1:
        return weight.sum(dim=1, keepdim=True)
    repeated = weight.repeat(1, -(-in_channels // have), 1, 1)[:, :in_channels]
    return repeated * (have / in_channels)


def fill_backbone(
    backbone: nn.Module, weights: Mapping[str, torch.Tensor], *, where: str, in_channels: int
) -> set[str]:
    """Load tensors into a backbone, by timm's names in any form.

    Args:
        backbone: A backbone with timm's parameter names.
        weights: Tensors of a classifier or of its encoder.
        where: Their source, for the error message.
        in_channels: Channels of the image; the first convolution's weights are adapted to them.

    Returns:
        The names in `weights` that were used.

    Raises:
        ModelError: They are of another model.
    """
    given = {_plain(key): value for key, value in weights.items()}
    wanted = backbone.state_dict()
    used = {key for key in weights if _plain(key) in {_plain(name) for name in wanted}}
    weights = {key: given[_plain(key)] for key in wanted if _plain(key) in given}
    first = next(key for key, value in wanted.items() if value.ndim == 4)
    if first in weights:
        weights[first] = adapt_input_channels(weights[first], in_channels)
    if isinstance(backbone, ViT) and first in weights:
        weights[first] = _resize_patches(weights[first], wanted[first].shape[2:])
    if isinstance(backbone, ViT) and "pos_embed" in weights:
        weights["pos_embed"] = backbone.fit_positions(weights["pos_embed"])
    fresh = backbone.extra_parameters() if isinstance(backbone, ViT) else set()
    missing = sorted(wanted.keys() - weights.keys() - fresh)
    misshapen = sorted(
        key for key in wanted.keys() & weights.keys() if wanted[key].shape != weights[key].shape
    )
    if missing or misshapen:
        wrong = (missing or misshapen)[0]
        raise ModelError(
            describe(
                "The encoder weights are from another model",
                where=where,
                found=f"{len(missing)} parameters missing, {len(misshapen)} of another shape, first {wrong}",
                expected=f"all {len(wanted)} parameters of the encoder",
                fix="Set the backbone to the one that these weights were trained with.",
            )
        )
    backbone.load_state_dict({**wanted, **weights})
    return used


def _resize_patches(weight: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Resize the patch embedding's weights so that its response stays the same (FlexiViT, CVPR 2023)."""
    if weight.shape[2:] == torch.Size(size):
        return weight
    from timm.layers.patch_embed import resample_patch_embed  # slow to import, and rarely needed

    resized: torch.Tensor = resample_patch_embed(weight, list(size))
    return resized


def _plain(key: str) -> str:
    """Undo the renaming of timm's feature wrappers: ``model.stages_0.norm`` -> ``stages.0.norm``."""
    while key.startswith("model."):
        key = key.removeprefix("model.")
    return key.replace(".", "_")


def _explain(name: str, error: Exception, *, required: bool) -> None:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")
    if required:
        raise ConfigError(
            describe(
                f"The pretrained weights of {name} are unavailable",
                found=f"{type(error).__name__}: {reason}",
                fix="Connect to huggingface.co, pass a weight file, or train from scratch: pretrained no.",
            )
        ) from error
    logger.warning(
        "The pretrained weights of %s are unavailable (%s), so its encoder starts from scratch: "
        "expect to need more images and more steps.",
        name,
        reason,
    )


def _unreadable(path: Path, error: Exception) -> ModelError:
    refused = re.search(r"GLOBAL (\S+)", str(error))
    found = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return ModelError(
        describe(
            "The weight file cannot be read" if refused is None else "The pickle was rejected",
            where=path,
            found=found
            if refused is None
            else f"it references {refused[1]}, which could run code; nothing was run",
            expected="a .safetensors or .pth file that contains only tensors",
        )
    )
