"""3D convolutions that oneDNN computes on CPUs, also of a single volume.

Of a single volume of at most 20,480 rows over all channels (`ConvParams::use_mkldnn`), PyTorch computes 3D
convolutions itself, with a copy of each voxel's neighbourhood. A narrow U-Net took 6 times as long on 40 x 64
x 64 voxels, and a wider one 1.5 times as long on 64 x 64 x 64 (PyTorch 2.14, AVX-512).
"""

from itertools import chain

import torch
from torch import Tensor, nn


def use_onednn(network: nn.Module) -> int:
    """Let oneDNN compute the 3D convolutions of a network without gradients on a CPU; return their number.

    Their weights, names and hooks do not change, nor what they compute, up to rounding.
    """
    fitting = [layer for layer in network.modules() if type(layer) is nn.Conv3d and _fits(layer)]
    for layer in fitting:
        layer.__class__ = OneDnnConv3d  # in place, as `limner.layers.winograd` does, for the same reasons
    return len(fitting)


def _fits(layer: nn.Conv3d) -> bool:
    return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


class OneDnnConv3d(nn.Conv3d):
    """`nn.Conv3d` that chooses oneDNN itself."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, *S) to (B, D, *S / stride)."""
        if not self._is_for_onednn(input):
            return super().forward(input)
        found: Tensor = torch.ops.aten.mkldnn_convolution(
            input, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )
        return found

    def _is_for_onednn(self, maps: Tensor) -> bool:
        tensors = chain((maps, self.weight), () if self.bias is None else (self.bias,))
        return (
            not torch.is_grad_enabled()
            and all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)
            and maps.ndim == 5
            and bool(torch.backends.mkldnn.enabled)
            and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
            and not torch.is_autocast_enabled("cpu")
        )
