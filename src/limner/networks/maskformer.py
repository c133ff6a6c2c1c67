"""MaskFormer: queries predict segments, each a class and a mask, instead of a class for each pixel.

Paper: Per-Pixel Classification is Not All You Need for Semantic Segmentation (Cheng et al., NeurIPS 2021),
https://arxiv.org/abs/2107.06278. Authors' code: https://github.com/facebookresearch/MaskFormer (CC BY-NC 4.0
licence).

What differs, and why: the focal and Dice losses of the masks are computed at uniform random points instead of
all pixels, which is the same in expectation for a fraction of the memory (see `segment_set`).

Shape legend: B batch, C channels, Q queries, K classes, H and W the input's height and width.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from limner.core.outputs import QueryMasks
from limner.layers.query_decoder import QueryDecoder
from limner.layers.segment_head import SegmentHead
from limner.layers.top_down_pyramid import PixelEncoder, TopDownPyramid
from limner.networks.backbones import Pretrained
from limner.networks.entry import NetworkEntry
from limner.networks.option_types import Width
from limner.networks.pyramid_network import PyramidNetwork, PyramidOptions, check_heads


class MaskFormerOptions(PyramidOptions):
    """Options of `MaskFormer`."""

    channels: Annotated[int, Field(gt=0, multiple_of=4)] = 256
    """Channels of both decoders and of the masks."""
    num_queries: Width = 100
    """Number of predicted segments, most of them empty; must exceed the number of segments in any image."""
    heads: Width = 8
    """Number of heads of all attention layers."""
    feedforward: Width = 2048
    """Hidden channels of the MLPs."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Dropout rate of all attention layers."""
    pixel_layers: Annotated[int, Field(ge=0)] = 0
    """Number of self-attention layers on the coarsest map; 6 in the paper's panoptic variant."""
    decoder_layers: Width = 6
    """Number of query decoder layers: self-attention and attention to the coarsest map."""


class MaskFormer(PyramidNetwork):
    """Backbone, pixel decoder, query decoder, head."""

    def __init__(
        self,
        options: MaskFormerOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        """Build the network.

        Raises:
            ConfigError: The channels are not divisible by the heads.
        """
        super().__init__(options, in_channels=in_channels, pretrained=pretrained)
        channels = options.channels
        check_heads("maskformer", options.heads, channels)
        *finer, top = self.widths
        self.pixel_encoder = None
        if options.pixel_layers:
            self.pixel_encoder = PixelEncoder(
                top,
                channels,
                num_layers=options.pixel_layers,
                heads=options.heads,
                feedforward=options.feedforward,
                dropout=options.dropout,
            )
            top = channels
        self.pixel_decoder = TopDownPyramid((*finer, top), channels)
        self.query_decoder = QueryDecoder(
            top,
            channels,
            num_queries=options.num_queries,
            num_layers=options.decoder_layers,
            heads=options.heads,
            feedforward=options.feedforward,
            dropout=options.dropout,
        )
        self.head = SegmentHead(channels, num_classes)

    def forward(self, images: Tensor) -> QueryMasks:
        """Predict segments: (B, C, H, W) float -> class logits, and masks at (H / 4, W / 4)."""
        *finer, top = self.maps(images)
        if self.pixel_encoder is not None:
            top = self.pixel_encoder(top)
        features = self.pixel_decoder((*finer, top))
        *earlier, last = self.query_decoder(top)
        auxiliary = tuple(self.head(queries, features) for queries in earlier) if self.training else ()
        outputs: QueryMasks = self.head(last, features, auxiliary)
        return outputs


ENTRY = NetworkEntry(
    build=MaskFormer,
    options=MaskFormerOptions,
    title="MaskFormer",
    paper="Per-Pixel Classification is Not All You Need for Semantic Segmentation",
    year=2021,
    family="transformer",
    url="https://arxiv.org/abs/2107.06278",
    output=QueryMasks,
    loss={
        "class_weight": 1.0,
        "mask_weight": 20.0,
        "dice_weight": 1.0,
        "mask_loss": "focal",
        "oversample": 1.0,
        "importance": 0.0,
    },
    pretrained=True,
    code="https://github.com/facebookresearch/MaskFormer",
    licence="CC BY-NC 4.0",
    good_for="Comparisons with Mask2Former, its successor, which converges faster.",
    variants={
        "resnet50": {},
        "resnet18": {"backbone": "resnet18"},
        "resnet101": {"backbone": "resnet101"},
        "resnet50, panoptic": {"pixel_layers": 6},
        "swin-tiny": {"backbone": "swin_tiny_patch4_window7_224"},
    },
)
