"""Classifier of whole images: any image encoder, and a linear layer on its pooled features.

Papers: Deep Residual Learning for Image Recognition (He et al., CVPR 2016), https://arxiv.org/abs/1512.03385,
and An Image is Worth 16x16 Words (Dosovitskiy et al., ICLR 2021), https://arxiv.org/abs/2010.11929, for the
usual encoders. Reference: timm (Apache-2.0 licence), from which all encoders but the ResNets are taken.

What differs: nothing but the size of the images, which is free.

Shape legend: B batch, C channels, K classes, H and W height and width.
"""

from dataclasses import replace
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from limner.core.config import Config
from limner.core.outputs import ClassLogits
from limner.layers.dropout import Dropout
from limner.networks.backbones import Pretrained
from limner.networks.backbones.image_encoder import build_encoder
from limner.networks.entry import NetworkEntry


class ClassifierOptions(Config):
    """Options of `Classifier`."""

    backbone: str = "resnet18"
    """The encoder: `resnet18` and its family, or any timm model, such as `vit_base_patch16_224`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout rate before the last layer."""


class Classifier(nn.Module):
    """Encoder, pooling, linear layer."""

    def __init__(
        self,
        options: ClassifierOptions,
        *,
        num_classes: int,
        in_channels: int = 3,
        pretrained: Pretrained = False,
    ) -> None:
        super().__init__()
        self.backbone = build_encoder(options.backbone, in_channels=in_channels, pretrained=pretrained)
        self.dropout = Dropout(options.dropout)
        self.head = nn.Linear(self.backbone.width, num_classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> ClassLogits:
        """Score each class: (B, C, H, W) float -> logits (B, K)."""
        return ClassLogits(self.head(self.dropout(self.backbone(images))))


ENTRY = NetworkEntry(
    build=Classifier,
    options=ClassifierOptions,
    title="Image classifier",
    paper="Deep Residual Learning for Image Recognition",
    year=2016,
    family="classifier",
    url="https://arxiv.org/abs/1512.03385",
    output=ClassLogits,
    pretrained=True,
    code="https://github.com/huggingface/pytorch-image-models",
    licence="Apache-2.0",
    good_for="Classes of whole images, with any encoder of timm.",
    variants={
        "resnet18": {},
        "resnet50": {"backbone": "resnet50"},
        "resnet101": {"backbone": "resnet101"},
        "vit_base_patch16_224": {"backbone": "vit_base_patch16_224"},
    },
)

PROBE_ENTRY = replace(
    ENTRY,
    title="Linear probe",
    is_probe=True,
    good_for="A first result in seconds from a few labelled images, with pretrained encoder weights.",
    variants={"resnet18": {}},
)
