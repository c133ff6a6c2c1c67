"""Swin Transformer on images of any size, as its authors run it for detection and segmentation.

Paper: Swin Transformer (Liu et al., ICCV 2021), https://arxiv.org/abs/2103.14030. Authors' code:
https://github.com/SwinTransformer/Swin-Transformer-Semantic-Segmentation (Apache-2.0 licence).

timm's model is made for one image size. On maps that windows do not fill evenly it shifts first and pads
then, so that zeros stand amid the pixels of a window; the authors pad first. Weights published by the authors
of segmentation networks expect the latter; where windows fill the map, both are the same.

Shape legend: B batch, H and W a map's height and width, C channels, w side of a window.
"""

import torch
from timm.models.swin_transformer import SwinTransformerBlock, window_partition, window_reverse
from torch import nn
from torch.nn import functional as F

ANY_SIZE = {"strict_img_size": False, "always_partition": True}
"""timm's own switches: other sizes than the published one, and shifts on maps no larger than a window too."""


class _PaddingBlock(SwinTransformerBlock):
    """timm's block with its windows laid over the padded map."""

    def _attn(self, x: torch.Tensor) -> torch.Tensor:
        """Attend within windows: (B, H, W, C) -> (B, H, W, C)."""
        height, width = x.shape[1:3]
        rows, columns = self.window_size
        x = F.pad(x, (0, 0, 0, -width % columns, 0, -height % rows))
        size = x.shape[1:3]
        shifts = tuple(self.shift_size)
        if any(shifts):
            x = torch.roll(x, shifts=(-shifts[0], -shifts[1]), dims=(1, 2))
        windows = window_partition(x, self.window_size).flatten(1, 2)
        windows = self.attn(windows, mask=self.get_attn_mask(x)).unflatten(1, (rows, columns))
        x = window_reverse(windows, self.window_size, *size)
        if any(shifts):
            x = torch.roll(x, shifts=shifts, dims=(1, 2))
        return x[:, :height, :width].contiguous()


def pad_before_shifting(model: nn.Module) -> None:
    """Make every block of a timm Swin Transformer pad before it shifts."""
    for block in model.modules():
        if type(block) is SwinTransformerBlock:
            block.__class__ = _PaddingBlock
