"""A network for prediction in float32: the same scores up to rounding, faster and in less memory.

Batch normalisations are folded into the convolutions before them: with fixed statistics, they multiply and
shift each channel, which weights and bias of the convolution can do as well. On CPUs, oneDNN computes all 3D
convolutions.
"""

import copy
from collections import Counter
from typing import TypeVar

import torch
from torch import nn

from limner.layers.onednn_convolution import OneDnnConv3d, use_onednn
from limner.layers.winograd import WinogradConv2d

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, WinogradConv2d, OneDnnConv3d)
_TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)


def for_prediction(network: ModuleT) -> ModuleT:
    """Return a copy of a network that predicts faster.

    Batch normalisations are folded where that is exact: those that directly follow a convolution in an
    `nn.Sequential`, if nothing else uses the convolution. Everything else is shared with the network: no
    weights take memory twice but the folded ones.

    Args:
        network: In evaluation mode.
    """
    tensors = [*network.parameters(), *network.buffers()]
    shared = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    uses = Counter(id(module) for _, module in shared.named_modules(remove_duplicate=False))
    owners = Counter(id(p) for module in shared.modules() for p in module.parameters(recurse=False))
    for block in shared.modules():
        if not isinstance(block, nn.Sequential) or type(block).forward is not nn.Sequential.forward:
            continue
        names = list(block._modules)
        for name, following in zip(names, names[1:], strict=False):
            layer, norm = block._modules[name], block._modules[following]
            if layer is None or norm is None or not _can_fold(layer, norm):
                continue
            if uses[id(layer)] > 1 or any(owners[id(p)] > 1 for p in layer.parameters()):
                continue
            _fold(layer, norm)
            block._modules[following] = nn.Identity()
    use_onednn(shared)
    return shared


def _can_fold(layer: nn.Module, norm: nn.Module) -> bool:
    if type(layer) not in (*_CONVOLUTIONS, *_TRANSPOSED) or not isinstance(
        norm, (nn.BatchNorm2d, nn.BatchNorm3d)
    ):
        return False
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, norm._forward_hooks, norm._forward_pre_hooks)
    return norm.running_mean is not None and not norm.training and not any(hooks)


def _fold(layer: nn.Module, norm: nn.Module) -> None:
    """Give a convolution weights of its own, which contain the normalisation."""
    assert isinstance(layer, nn.modules.conv._ConvNd)
    assert isinstance(norm, (nn.BatchNorm2d, nn.BatchNorm3d))
    assert norm.running_mean is not None and norm.running_var is not None
    with torch.no_grad():
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        shift = -norm.running_mean.double() * scale
        if norm.weight is not None:
            scale, shift = scale * norm.weight.double(), shift * norm.weight.double() + norm.bias.double()
        if layer.bias is not None:
            shift = shift + layer.bias.double() * scale
        weight = layer.weight
        if isinstance(layer, _TRANSPOSED):  # (in, out / groups, *kernel)
            groups = weight.double().view(layer.groups, -1, *weight.shape[1:])
            by_group = scale.view(layer.groups, 1, -1, *[1] * (weight.ndim - 2))
            scaled = (groups * by_group).flatten(0, 1)
        else:
            scaled = weight.double() * scale.view(-1, *[1] * (weight.ndim - 1))
        layout = _layout(weight)
        layer.weight = nn.Parameter(scaled.to(weight.dtype).contiguous(memory_format=layout), False)
        layer.bias = nn.Parameter(shift.to(weight.dtype), False)


def _layout(weight: torch.Tensor) -> torch.memory_format:
    last = torch.channels_last if weight.ndim == 4 else torch.channels_last_3d
    is_last = weight.is_contiguous(memory_format=last) and not weight.is_contiguous()
    return last if is_last else torch.contiguous_format
