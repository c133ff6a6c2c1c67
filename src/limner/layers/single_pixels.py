"""Strided convolutions on maps of a single pixel, whose gradients PyTorch leaves undefined on CPUs.

In bfloat16 and channels-last, the weight gradient of a 3x3 convolution with stride 2 on a 1x1 map is memory
that was never written (PyTorch 2.14 with oneDNN, AVX-512): often nearly 0, sometimes NaN. With a pixel of
zeros more on each axis, which is padding anyway, output and gradient are those of the definition.
"""

import torch
from torch import nn
from torch.nn import functional as F

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)


def pad_single_pixels(network: nn.Module) -> None:
    """Let the strided convolutions of a network pad maps of one pixel; outputs stay the same."""
    for layer in network.modules():
        if isinstance(layer, CONVOLUTIONS) and max(layer.stride) > 1 and _is_centred(layer):
            layer.register_forward_pre_hook(_padded)


def _is_centred(layer: nn.Conv2d | nn.Conv3d) -> bool:
    """Tell whether the output on one pixel and on two is one pixel, the kernel centred on the first."""
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        return False
    axes = zip(layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
    return all(
        stride > 1 and 2 * padding == dilation * (side - 1) for side, stride, padding, dilation in axes
    )


def _padded(layer: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
    (x,) = inputs
    if x.shape[2:].numel() > 1:
        return None
    return (F.pad(x, (0, 1) * (x.ndim - 2)),)
