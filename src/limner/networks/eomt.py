"""EoMT: a plain Vision Transformer, whose last blocks also hold queries, is the whole segmentation network.

Paper: Your ViT is Secretly an Image Segmentation Model (Kerssies et al., CVPR 2025),
https://arxiv.org/abs/2503.19108. Authors' code: https://github.com/tue-mps/eomt (MIT licence).

While training begins, queries see only patches inside their own mask of a block ago; block by block this is
given up, and the finished network needs no masks, which is what makes it fast.

What differs, and why: nothing in the numbers of training. Patches are padded, and their positions resized,
so that any size fits. Validated before the masks are given up, a block keeps or leaves them for all of its
queries, whichever training does for more of them, so that predictions do not depend on chance.

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
"""When the first and the last joint block begin to give up their masks, and for how long each takes; in parts
of the training, from the authors' configurations."""

POWER = 0.9
"""Of the curve along which a block gives them up, likewise."""


class EoMTOptions(Config):
    """Options of `EoMT`."""

    backbone: str = "vit_base_patch14_reg4_dinov2"
    """A ViT: `vit_small_`, `vit_base_` or `vit_large_patch14_reg4_dinov2` as in the paper, or another."""
    num_blocks: Width | None = None
    """Transformer blocks; null takes the backbone's."""
    joint_blocks: Width | None = None
    """Last blocks that hold queries too; null takes the paper's: 3 of 12, 4 of 24."""
    num_queries: Width = 200
    """Segments that are predicted, most of them empty; the paper takes 100 where classes are segments."""
    image_size: Annotated[int, Field(ge=16)] = 640
    """Side of the images whose patches have a position each; those of other sizes are interpolated."""
    masked: bool = True
    """Begin training with queries that see the inside of their masks only."""


class EoMT(ProgressAware):
    """Patches, blocks, joint blocks, head."""

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
            UnknownNameError: We have no ViT of that name.
            ConfigError: More blocks shall be joint than there are.
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
                    f"eomt: {options.backbone} has too few blocks for that many joint ones",
                    found=f"joint_blocks = {self._joint}",
                    expected=f"at most {depth}",
                )
            )
        self.queries = nn.Parameter(torch.randn(options.num_queries, width))
        self.upscale = nn.Sequential(_Upscale(width), _Upscale(width))
        self.head = SegmentHead(width, num_classes, activation=nn.GELU)
        shares = torch.full((self._joint,), float(options.masked))
        self.register_buffer("mask_shares", shares)  # saved: it says how the weights are to be used
        self._looks_through = (options.masked,) * self._joint
        self._anneals = options.masked
        self.register_load_state_dict_post_hook(_read_shares)  # type: ignore[no-untyped-call]

    def set_progress(self, progress: float) -> None:
        """Give masks up, block by block, as training goes on."""
        if self._anneals:
            shares = [mask_share(index, self._joint, progress) for index in range(self._joint)]
            self.mask_shares.copy_(torch.tensor(shares))
            self._looks_through = tuple(share >= 0.5 for share in shares)

    def forward(self, images: Tensor) -> QueryMasks:
        """Find segments: (B, C, H, W) float -> their classes, and masks at (H / 4, W / 4)."""
        patches = self.backbone.patch_embed(pad_to_patches(images))
        grid, size = patches.shape[2:], [-(-pixels // 4) for pixels in images.shape[2:]]
        tokens = self.backbone.join(patches)
        first_joint = len(self.backbone.blocks) - self._joint
        for block in self.backbone.blocks[:first_joint]:
            tokens = block(tokens)
        tokens = torch.cat([self.queries.expand(len(tokens), -1, -1), tokens], dim=1)  # (B, N, C)
        earlier: list[QueryMasks] = []
        for index, block in enumerate(self.backbone.blocks[first_joint:]):
            seen = None
            if self.training or self._looks_through[index]:
                queries, features = self._read(tokens, grid)
                predicted = self.head(queries, cut(features, size))
                seen = self._seen(predicted, resize(features.detach(), grid), index)
                earlier += [predicted] if self.training else []
            tokens = block(tokens, seen=seen)
        queries, features = self._read(tokens, grid)
        outputs: QueryMasks = self.head(queries, cut(features, size), tuple(earlier))
        return outputs

    def _read(self, tokens: Tensor, grid: torch.Size) -> tuple[Tensor, Tensor]:
        """Split tokens (B, N, C) into queries (B, Q, C) and the mask features (B, C, 4 h, 4 w)."""
        assert self.backbone.norm is not None, "it was asked for"
        tokens = self.backbone.norm(tokens)
        patches = tokens[:, -grid[0] * grid[1] :].transpose(1, 2).reshape(*tokens.shape[::2], *grid)
        return tokens[:, : len(self.queries)], self.upscale(patches)

    def _seen(self, predicted: QueryMasks, features: Tensor, index: int) -> Tensor:
        """Say which tokens each query sees in a joint block: (B, Q, N) bool.

        Args:
            predicted: The segments so far.
            features: (B, C, h, w), scaled down to the patches.
            index: Of the block.
        """
        inside = torch.bmm(predicted.embeddings.detach(), features.flatten(2)) > 0  # (B, Q, h * w)
        if self.training:
            draws = torch.rand((*inside.shape[:2], 1), device=inside.device)
            inside = inside | (draws >= self.mask_shares[index])
        others = inside.new_ones((*inside.shape[:2], len(self.queries) + self.backbone.num_prefixes))
        return torch.cat([others, inside], dim=2)


class _Upscale(nn.Module):
    """Twice the resolution: a learned step, and a look around in each channel by itself."""

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
    """Return the part of the queries that see only the inside of their masks.

    Args:
        index: Which joint block, from 0.
        num_blocks: Joint blocks.
        progress: Part of the training that is done.
    """
    start = FIRST_LEFT + (LAST_LEFT - FIRST_LEFT) * index / max(1, num_blocks - 1)
    left = min(max((progress - start) / DURATION, 0.0), 1.0)
    return float((1 - left) ** POWER)


def _read_shares(network: nn.Module, _: object) -> None:
    """Take from loaded weights whether they look through masks."""
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
    tasks=("semantic", "instance", "panoptic"),
    pretrained=True,
    code="https://github.com/tue-mps/eomt",
    licence="MIT",
    good_for="Objects and regions at a plain ViT's speed; needs DINOv2's weights or very many images.",
    variants={
        "base": {},
        "small": {"backbone": "vit_small_patch14_reg4_dinov2"},
        "large": {"backbone": "vit_large_patch14_reg4_dinov2"},
    },
)
