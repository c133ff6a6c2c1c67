"""PSANet: each pixel predicts attention masks for collecting from and distributing to its surroundings.

Paper: PSANet: Point-wise Spatial Attention Network for Scene Parsing (Zhao et al., ECCV 2018),
https://openaccess.thecvf.com/content_ECCV_2018/html/Hengshuang_Zhao_PSANet_Point-wise_Spatial_ECCV_2018_paper.html.
Authors' code: https://github.com/hszhao/semseg (MIT licence).

What differs, and why: no compiled operator. A pixel's mask is centred on itself and must be shifted to
map coordinates; row by row, this shift is a view of the masks with longer rows. Only the part of the mask
within the map is computed: the same result for less work on small crops. By default the stem is the narrower
one, as in mmsegmentation (Apache-2.0); the authors' is `backbone="resnet50s", dilation="uniform"`.

Shape legend: B batch, C channels, h and w the map's height and width, M the side of a mask.
"""

import torch
from torch import nn
from torch.nn import functional as F

from limner.core.outputs import DenseLogits
from limner.layers.convolution import ConvNormAct
from limner.layers.initialization import initialize
from limner.layers.resize import resize
from limner.networks.backbones import Pretrained
from limner.networks.context_network import ContextNetwork, ContextOptions
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import OddSide, Width


class PSANetOptions(ContextOptions):
    """Options of `PSANet`."""

    mask_size: OddSide = 97
    """Size of the masks; twice the downsampled map's size minus one covers the whole map."""
    shrink: Width = 2
    """Downsampling factor of the map that the attention is computed on."""


class PSANet(ContextNetwork):
    """Dilated backbone, point-wise spatial attention in both directions, classifier."""

    def __init__(
        self,
        options: PSANetOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__(options, num_classes=num_classes, in_channels=in_channels, pretrained=pretrained)
        self.context = nn.Sequential(
            PointwiseAttention(self.deep, self.channels, mask_size=options.mask_size, shrink=options.shrink),
            ConvNormAct(2 * self.deep, self.channels),
        )
        initialize(self.context)


class PointwiseAttention(nn.Module):
    """Concatenate a map with the collected and the distributed features."""

    def __init__(self, in_channels: int, channels: int, *, mask_size: int, shrink: int) -> None:
        super().__init__()
        self.shrink = shrink
        self.collect = MaskBranch(in_channels, channels, mask_size)
        self.distribute = MaskBranch(in_channels, channels, mask_size)
        self.projection = ConvNormAct(2 * channels, in_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to (B, 2 * C, h, w)."""
        size = x.shape[2:]
        small = [(length - 1) // self.shrink + 1 for length in size]
        taken, masks = self.collect(x, small)
        # Softmax over the positions that a pixel collects from.
        collected = masks.softmax(dim=2) @ taken  # (B, h * w, channels)
        given, masks = self.distribute(x, small)
        # Softmax over the pixels that distribute to a position.
        distributed = masks.softmax(dim=1).transpose(1, 2) @ given
        both = torch.cat((collected, distributed), dim=2).transpose(1, 2)
        projected = self.projection(both.reshape(*both.shape[:2], *small))
        return torch.cat((x, resize(projected, size, align_corners=True)), dim=1)


class MaskBranch(nn.Module):
    """Reduced features, and an attention mask for the surroundings of each pixel."""

    def __init__(self, in_channels: int, channels: int, mask_size: int) -> None:
        super().__init__()
        self.mask_size = mask_size
        self.reduction = ConvNormAct(in_channels, channels, 1)
        self.features = ConvNormAct(channels, channels, 1)
        self.masks = nn.Conv2d(channels, mask_size**2, 1, bias=False)

    def forward(self, x: torch.Tensor, size: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (B, C, H, W) to pixels (B, h * w, channels) and weights (B, pixel h * w, place h * w)."""
        reduced = resize(self.reduction(x), size, align_corners=True)
        height, width = size
        rows, columns = min(2 * height - 1, self.mask_size), min(2 * width - 1, self.mask_size)
        masks = F.conv2d(self.features(reduced), self._reachable(rows, columns))
        weights = place_masks(masks.reshape(len(x), rows, columns, height, width))
        return reduced.flatten(2).transpose(1, 2), weights

    def _reachable(self, rows: int, columns: int) -> torch.Tensor:
        """Return the weights for the central part of the mask: (rows * columns, C, 1, 1)."""
        weight = self.masks.weight.reshape(self.mask_size, self.mask_size, -1, 1, 1)
        top, left = (self.mask_size - rows) // 2, (self.mask_size - columns) // 2
        return weight[top : top + rows, left : left + columns].flatten(0, 1)


def place_masks(masks: torch.Tensor) -> torch.Tensor:
    """Shift masks from pixel-centred to map coordinates.

    Args:
        masks: (B, My, Mx, h, w); entry (i, j) of pixel (y, x) is for position (y + i - My // 2,
            x + j - Mx // 2), where My and Mx are odd and at most 2h - 1 and 2w - 1.

    Returns:
        (B, h * w pixels, h * w positions); 0 outside of a mask.
    """
    height, width = masks.shape[3:]
    columns = _shift_rows(masks.permute(0, 3, 1, 4, 2))  # (B, h, My, w, w places)
    both = _shift_rows(columns.permute(0, 3, 4, 1, 2))  # (B, w, w places, h, h places)
    return both.permute(0, 3, 1, 4, 2).reshape(len(masks), height * width, height * width)


def _shift_rows(masks: torch.Tensor) -> torch.Tensor:
    """Shift the row of pixel y so that position 0 comes first: (..., n, M) -> (..., n, n).

    Entry i of row y is for position y + i - M // 2. In flattened rows of length 2n - 1, entries for one
    position are 2n - 2 apart, so splitting the same data into rows that are one shorter aligns them.
    """
    side = masks.shape[-2]
    missing = (2 * side - 1 - masks.shape[-1]) // 2
    laid = F.pad(masks, (missing, missing)).flatten(-2)  # (..., n * (2n - 1))
    if side == 1:
        return laid.unsqueeze(-1)
    longer = 2 * side - 2
    shifted = laid[..., side - 1 : side - 1 + side * longer]
    return shifted.view(*masks.shape[:-2], side, longer)[..., :side]


ENTRY = NetworkEntry(
    build=PSANet,
    options=PSANetOptions,
    title="PSANet",
    paper="PSANet: Point-wise Spatial Attention Network for Scene Parsing",
    year=2018,
    family="context",
    url="https://openaccess.thecvf.com/content_ECCV_2018/html/Hengshuang_Zhao_PSANet_Point-wise_Spatial_ECCV_2018_paper.html",
    output=DenseLogits,
    pretrained=True,
    code="https://github.com/hszhao/semseg",
    licence="MIT",
    good_for="Scenes with a similar layout in all images, in crops of a fixed size.",
    variants={
        "resnet50c": {},
        "resnet18c": {"backbone": "resnet18c"},
        "resnet101c": {"backbone": "resnet101c"},
        "resnet50s, crops of 465": {"backbone": "resnet50s", "dilation": "uniform", "mask_size": 59},
    },
)
