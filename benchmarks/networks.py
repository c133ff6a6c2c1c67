"""Forward and backward of limner's networks against mmsegmentation's, alternating in one run.

Each pair has the same layers, including auxiliary heads, in float32 and training mode on a ResNet-18 (or the
network's own encoder). limner's runs with the memory layout and the convolutions that `limner train`
gives it. The two take turns, so that a machine that drifts slows both; the ratio is the median over rounds of
limner's time by mmsegmentation's.

    python benchmarks/networks.py            # in the environment of benchmarks/requirements.txt
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from openmmlab import stand_in_for_compiled_operators
from torch import nn

from limner.devices.convolution_layout import choose_memory_format, prefers_winograd
from limner.layers.winograd import use_winograd
from limner.networks import build_network

NUM_CLASSES = 19
NORM = {"type": "BN"}
WIDTHS = [64, 128, 256, 512]
DILATED = {"dilations": (1, 1, 2, 4), "strides": (1, 2, 1, 1), "contract_dilation": True}

Config = dict[str, Any]


def resnet(**options: Any) -> Config:
    return {"type": "ResNetV1c", "depth": 18, "num_stages": 4, "out_indices": (0, 1, 2, 3), **options}


def fcn(in_channels: int, channels: int, index: int, num_convs: int = 1) -> Config:
    return head(
        "FCNHead",
        in_channels=in_channels,
        channels=channels,
        in_index=index,
        num_convs=num_convs,
        concat_input=False,
    )


def head(kind: str, **options: Any) -> Config:
    usual = {"in_channels": 512, "in_index": 3, "channels": 128, "dropout_ratio": 0.1, "align_corners": False}
    return {"type": kind, "num_classes": NUM_CLASSES, "norm_cfg": NORM, **usual, **options}


def dilated(kind: str, **options: Any) -> list[Config]:
    return [resnet(**DILATED), head(kind, **options), fcn(256, 64, 2)]


BISENETV1 = {
    "type": "BiSeNetV1",
    "backbone_cfg": {"type": "ResNet", "depth": 18, "norm_cfg": NORM},
    "context_channels": (128, 256, 512),
    "spatial_channels": (64, 64, 64, 128),
    "out_channels": 256,
}
LAYER_NORM = {"type": "LN", "eps": 1e-6}


def up_head(index: int, num_convs: int, scale: int) -> Config:
    return head(
        "SETRUPHead",
        in_channels=384,
        channels=256,
        in_index=index,
        num_convs=num_convs,
        up_scale=scale,
        dropout_ratio=0,
    )


R18: Config = {"backbone": "resnet18c"}
# limner's name -> (its options, mmsegmentation's backbone and heads).
CASES: dict[str, tuple[Config, list[Config]]] = {
    "unet": (
        {"upsampling": "bilinear", "head_convs": 1, "auxiliary": True},
        [{"type": "UNet"}, fcn(64, 64, 4), fcn(128, 64, 3)],
    ),
    "fcn": (R18, dilated("FCNHead", num_convs=2)),
    "semantic-fpn": (
        {**R18, "pyramid_channels": 256, "channels": 128},
        [
            resnet(),
            head("FPNHead", in_channels=[256] * 4, in_index=[0, 1, 2, 3], feature_strides=[4, 8, 16, 32]),
        ],
    ),
    "pspnet": (R18, dilated("PSPHead", pool_scales=(1, 2, 3, 6))),
    "deeplabv3": (R18, dilated("ASPPHead", dilations=(1, 12, 24, 36))),
    "deeplabv3plus": (
        R18,
        dilated("DepthwiseSeparableASPPHead", dilations=(1, 12, 24, 36), c1_in_channels=64, c1_channels=12),
    ),
    "danet": (R18, dilated("DAHead", pam_channels=16)),
    "ccnet": (R18, dilated("CCHead", recurrence=2)),
    "ann": (
        R18,
        dilated(
            "ANNHead",
            in_channels=[256, 512],
            in_index=[2, 3],
            project_channels=64,
            query_scales=(1,),
            key_pool_scales=(1, 3, 6, 8),
        ),
    ),
    "emanet": (
        R18,
        dilated("EMAHead", channels=64, ema_channels=128, num_bases=64, num_stages=3, momentum=0.1),
    ),
    "upernet": (
        {**R18, "channels": 128, "auxiliary_channels": 64},
        [resnet(), head("UPerHead", in_channels=WIDTHS, in_index=[0, 1, 2, 3]), fcn(256, 64, 2)],
    ),
    "bisenetv1": ({}, [BISENETV1, fcn(256, 256, 0), fcn(128, 64, 1), fcn(128, 64, 2)]),
    "bisenetv2": (
        {"layout": "mmsegmentation"},
        [
            {"type": "BiSeNetV2"},
            fcn(128, 1024, 0),
            *(fcn(w, c, i, 2) for i, (w, c) in enumerate([(16, 16), (32, 64), (64, 256), (128, 1024)], 1)),
        ],
    ),
    "segformer": (
        {"decoder": "mmsegmentation"},
        [
            {
                "type": "MixVisionTransformer",
                "embed_dims": 32,
                "num_layers": [2, 2, 2, 2],
                "num_heads": [1, 2, 5, 8],
                "norm_cfg": LAYER_NORM,
            },
            head("SegformerHead", in_channels=[32, 64, 160, 256], in_index=[0, 1, 2, 3], channels=256),
        ],
    ),
    "setr": (
        {"backbone": "vit_small_patch16_224", "image_size": 256, "patch_bias": False},
        [
            {
                "type": "VisionTransformer",
                "img_size": (256, 256),
                "embed_dims": 384,
                "num_heads": 6,
                "out_indices": (2, 5, 8, 11),
                "norm_cfg": LAYER_NORM,
            },
            up_head(3, 4, 2),
            *(up_head(level, 2, 4) for level in range(3)),
        ],
    ),
}


class Peer(nn.Module):
    """Backbone, neck where there is one, and all heads, as mmsegmentation's EncoderDecoder runs them."""

    def __init__(self, backbone: Config, *heads: Config) -> None:
        from mmseg.models import BACKBONES, HEADS
        from mmseg.models.builder import NECKS
        from mmseg.utils import register_all_modules

        register_all_modules()
        super().__init__()
        self.backbone = BACKBONES.build({"norm_cfg": NORM, **backbone})
        pyramid = {"type": "FPN", "in_channels": WIDTHS, "out_channels": 256, "num_outs": 4}
        self.neck = NECKS.build(pyramid) if heads[0]["type"] == "FPNHead" else nn.Identity()
        self.heads = nn.ModuleList(HEADS.build(each) for each in heads)

    def forward(self, images: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the scores of every head."""
        features = self.neck(self.backbone(images))
        for each in self.heads:
            scores = each(features)
            yield from scores if isinstance(scores, tuple) else (scores,)


def limner_step(name: str, options: Config, images: torch.Tensor) -> Callable[[], None]:
    network = build_network(name, num_classes=NUM_CLASSES, **options).train()
    layout = choose_memory_format(torch.device("cpu"), spatial_dims=2, training=True)
    network.to(memory_format=layout)
    if prefers_winograd(torch.device("cpu")):
        use_winograd(network)
    images = images.contiguous(memory_format=layout)

    def step() -> None:
        outputs = network(images)
        backward([outputs.logits, *(side.logits for side in outputs.auxiliary)])

    return step


def peer_step(modules: list[Config], images: torch.Tensor) -> Callable[[], None]:
    network = Peer(*modules).train()
    return lambda: backward(network(images))


def backward(scores: Iterator[torch.Tensor] | list[torch.Tensor]) -> None:
    sum(each.square().mean() for each in scores).backward()


def timed(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=CASES)
    arguments = parser.parse_args()
    stand_in_for_compiled_operators()
    torch.set_num_threads(arguments.threads)
    images = torch.randn(arguments.batch, 3, arguments.size, arguments.size)
    print(f"{arguments.size}x{arguments.size}, batch {arguments.batch}, {arguments.threads} threads, CPU\n")
    print("| network | mmsegmentation s | limner s | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for name in arguments.only:
        options, modules = CASES[name]
        ours, theirs = limner_step(name, options, images), peer_step(modules, images)
        ours(), theirs()
        rounds = [(timed(theirs), timed(ours)) for _ in range(arguments.rounds)]
        peer, mine = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
        ratio = statistics.median(b / a for a, b in rounds)
        print(f"| {name} | {peer:.3f} | {mine:.3f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
