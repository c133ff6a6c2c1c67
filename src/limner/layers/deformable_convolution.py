"""Deformable convolution: each tap of the kernel is moved and weighted as the features at that place suggest.

Paper: Deformable ConvNets v2 (Zhu et al., CVPR 2019), https://arxiv.org/abs/1811.11168. The operation is that
of torchvision, which is imported here only.

Shape legend: B batch, C channels, H and W height and width.
"""

from collections.abc import Sequence
from functools import cache
from math import prod

import torch
from torch import nn

from limner.core.errors import MissingPartError


class DeformableConv2d(nn.Module):
    """A convolution without bias, whose taps are displaced by up to any distance.

    The displacements and weights of the taps come from an ordinary convolution, which starts at zero: at
    first every tap is at its usual place with a weight of one half, as in the paper.

    Raises:
        MissingPartError: torchvision is not installed.
    """

    def __init__(self, replaced: nn.Conv2d) -> None:
        """Take over size, stride and weights of a convolution.

        Args:
            replaced: A square convolution without bias, groups and dilation.
        """
        super().__init__()
        _prepare_torchvision()
        self.weight = replaced.weight
        side, self.stride = replaced.kernel_size[0], replaced.stride[0]
        self.padding = side // 2
        # The displacement of each tap, down and across, then the weights of all.
        self.offset = nn.Conv2d(
            replaced.in_channels, 3 * side**2, side, stride=self.stride, padding=self.padding
        )
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        from torchvision.ops import deform_conv2d

        offsets, weights = self.offset(x).tensor_split((2 * self.offset.out_channels // 3,), 1)
        moved: torch.Tensor = deform_conv2d(
            x,
            offsets,
            self.weight,
            stride=self.stride,
            padding=self.padding,
            mask=weights.sigmoid(),
        )
        return moved


@cache
def _prepare_torchvision() -> None:
    """Import torchvision's operators, and tell PyTorch how many operations one takes."""
    try:
        import torchvision.ops  # noqa: F401 - registers the operator
    except ImportError as error:
        install = "pip install torchvision"
        raise MissingPartError("torchvision", "A deformable convolution", install) from error
    from torch.utils.flop_counter import register_flop_formula  # imports Triton, a tenth of a second

    @register_flop_formula(torch.ops.torchvision.deform_conv2d)
    def _(x: Sequence[int], weight: Sequence[int], *_: object, out_shape: Sequence[int], **__: object) -> int:
        """Return twice the multiply-adds, from the shapes; finding the values between pixels is left out."""
        return 2 * out_shape[0] * prod(out_shape[2:]) * prod(weight)
