"""EoMT: a plain Vision Transformer whose last blocks also process queries; there is no decoder.

Paper: Your ViT is Secretly an Image Segmentation Model (Kerssies et al., CVPR 2025),
https://arxiv.org/abs/2503.19108. Authors' code: https://github.com/tue-mps/eomt (MIT licence).

Early in training, queries attend only to patches inside the mask predicted by the previous block. This
masking is phased out block by block, so the trained network needs no intermediate masks, which makes it fast.

What differs, and why: the training arithmetic is unchanged. Images are padded to whole patches and positions
are resized, so any input size works. In evaluation before the end of training, a block masks all of its
queries or none, whichever training does for the majority, so predictions are deterministic.

Shape legend: B batch, C channels, Q queries, K classes, N tokens, H and W the input's height and width, h and
w in patches.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from limner.core.config import Config
from limner.core.errors import ConfigError, describe
from limner.core.outputs import QueryMasks
from limner.layers.norm import PixelNorm
from limner.layers.resize import cut, resize
from limner.layers.segment_head import SegmentHead
from limner.layers.training_progress import ProgressAware
from limner.networks.backbones import Pretrained, build_vit
from limner.networks.backbones.vit import pad_to_patches
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width

FIRST_LEFT, LAST_LEFT, DURATION = 1 / 6, 4 / 6, 1 / 6
"""Start of the first and last joint block's phase-out of masks, and its duration, as fractions of training;
from the authors' configurations."""

POWER = 0.9
"""Exponent of the phase-out, from the authors' configurations."""


class EoMTOptions(Config):
    """Options of `EoMT`."""

    backbone: str = "vit_base_patch14_reg4_dinov2"
    """A ViT: `vit_small_`, `vit_base_` or `vit_large_patch14_reg4_dinov2` as in the paper, or another ViT."""
    num_blocks: Width | None = None
    """Number of transformer blocks; defaults to the backbone's."""
    joint_blocks: Width | None = None
    """Number of last blocks that also process queries; defaults to the paper's: 3 of 12, 4 of 24."""
    num_queries: Width = 200
    """Number of queries, most of which predict no segment; 100 in the paper for semantic segmentation."""
    image_size: Annotated[int, Field(ge=16)] = 640
    """Image side that the position embeddings are learned for; they are interpolated for others."""
    masked: bool = True
    """Start training with masked attention."""


class EoMT(ProgressAware):
    """Patch embedding, blocks, joint blocks, head."""

    mask_shares: Tensor

    def __init__(
        self,
        options: EoMTOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        """Build the network.

        Raises:
            UnknownNameError: limner has no ViT of that name.
            ConfigError: `joint_blocks` exceeds the number of blocks.
        """
        super().__init__()
        self.backbone = build_vit(
            options.backbone,
            in_channels=in_channels,
            num_blocks=options.num_blocks,
            pretrained=pretrained,
            image_size=options.image_size,
            final_norm=True,
        )
        width, depth = self.backbone.channels[-1], len(self.backbone.blocks)
        self._joint = options.joint_blocks or max(1, 2 + depth // 12)
        if self._joint > depth:
            raise ConfigError(
                describe(
                    f"eomt: {options.backbone} has fewer blocks than joint_blocks",
                    found=f"joint_blocks = {self._joint}",
                    expected=f"at most {depth}",
                )
            )
        self.queries = nn.Parameter(torch.randn(options.num_queries, width))
        self.upscale = nn.Sequential(_Upscale(width), _Upscale(width))
        self.head = SegmentHead(width, num_classes, activation=nn.GELU)
        shares = torch.full((self._joint,), float(options.masked))
        self.register_buffer("mask_shares", shares)  # saved because it determines how the weights are used
        self._looks_through = (options.masked,) * self._joint
        self._anneals = options.masked
        self.register_load_state_dict_post_hook(_read_shares)  # type: ignore[no-untyped-call]

    def set_progress(self, progress: float) -> None:
        """Phase masked attention out, block by block."""
        if self._anneals:
            shares = [mask_share(index, self._joint, progress) for index in range(self._joint)]
            self.mask_shares.copy_(torch.tensor(shares))
            self._looks_through = tuple(share >= 0.5 for share in shares)

    def forward(self, images: Tensor) -> QueryMasks:
        """Predict segments: (B, C, H, W) float -> class logits, and masks at (H / 4, W / 4)."""
        patches = self.backbone.patch_embed(pad_to_patches(images))
        grid, size = patches.shape[2:], [-(-pixels // 4) for pixels in images.shape[2:]]
        tokens = self.backbone.join(patches)
        first_joint = len(self.backbone.blocks) - self._joint
        for block in self.backbone.blocks[:first_joint]:
            tokens = block(tokens)
        tokens = torch.cat([self.queries.expand(len(tokens), -1, -1), tokens], dim=1)  # (B, N, C)
        earlier: list[QueryMasks] = []
        for index, block in enumerate(self.backbone.blocks[first_joint:]):
            mask = None
            if self.training or self._looks_through[index]:
                queries, features = self._read(tokens, grid)
                predicted = self.head(queries, cut(features, size))
                mask = self._attention_mask(predicted, resize(features.detach(), grid), index)
                earlier += [predicted] if self.training else []
            tokens = block(tokens, mask=mask)
        queries, features = self._read(tokens, grid)
        outputs: QueryMasks = self.head(queries, cut(features, size), tuple(earlier))
        return outputs

    def _read(self, tokens: Tensor, grid: torch.Size) -> tuple[Tensor, Tensor]:
        """Split tokens (B, N, C) into queries (B, Q, C) and the mask features (B, C, 4 h, 4 w)."""
        assert self.backbone.norm is not None, "built with final_norm"
        tokens = self.backbone.norm(tokens)
        patches = tokens[:, -grid[0] * grid[1] :].transpose(1, 2).reshape(*tokens.shape[::2], *grid)
        return tokens[:, : len(self.queries)], self.upscale(patches)

    def _attention_mask(self, predicted: QueryMasks, features: Tensor, index: int) -> Tensor:
        """Return which tokens each query may attend to in a joint block: (B, Q, N) bool.

        Args:
            predicted: The segments so far.
            features: (B, C, h, w), resized to the patch grid.
            index: Index of the block.
        """
        inside = torch.bmm(predicted.embeddings.detach(), features.flatten(2)) > 0  # (B, Q, h * w)
        if self.training:
            draws = torch.rand((*inside.shape[:2], 1), device=inside.device)
            inside = inside | (draws >= self.mask_shares[index])
        others = inside.new_ones((*inside.shape[:2], len(self.queries) + self.backbone.num_prefixes))
        return torch.cat([others, inside], dim=2)


class _Upscale(nn.Module):
    """Upsample by two: transposed convolution, then a depthwise 3x3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.act = nn.GELU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.norm = PixelNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to (B, C, 2 h, 2 w)."""
        enlarged: Tensor = self.norm(self.conv2(self.act(self.conv1(x))))
        return enlarged


def mask_share(index: int, num_blocks: int, progress: float) -> float:
    """Return the fraction of the queries that attend only to the inside of their masks.

    Args:
        index: Index of the joint block, from 0.
        num_blocks: Number of joint blocks.
        progress: Fraction of training that is done.
    """
    start = FIRST_LEFT + (LAST_LEFT - FIRST_LEFT) * index / max(1, num_blocks - 1)
    left = min(max((progress - start) / DURATION, 0.0), 1.0)
    return float((1 - left) ** POWER)


def _read_shares(network: nn.Module, _: object) -> None:
    """Update the masking state from loaded weights."""
    assert isinstance(network, EoMT)
    network._looks_through = tuple(share >= 0.5 for share in network.mask_shares.tolist())


ENTRY = NetworkEntry(
    build=EoMT,
    options=EoMTOptions,
    title="EoMT",
    paper="Your ViT is Secretly an Image Segmentation Model",
    year=2025,
    family="transformer",
    url="https://arxiv.org/abs/2503.19108",
    output=QueryMasks,
    pretrained=True,
    code="https://github.com/tue-mps/eomt",
    licence="MIT",
    good_for="Objects and regions at the speed of a plain ViT; needs DINOv2 weights or very many images.",
    variants={
        "base": {},
        "small": {"backbone": "vit_small_patch14_reg4_dinov2"},
        "large": {"backbone": "vit_large_patch14_reg4_dinov2"},
    },
)
