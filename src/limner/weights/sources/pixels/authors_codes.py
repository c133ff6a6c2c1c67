"""The table of authors' own codes whose files `authors_networks` reads.

A file of these codes has tensors only, so mean and standard deviation are those of the code.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limner.core.plan import ResizePlan
from limner.weights.checkpoint_source import Inferred, Normalization, PredictionWindow
from limner.weights.renaming import Rule
from limner.weights.sources.facts.dense_facts import imagenet
from limner.weights.sources.pixels.authors_network_names import (
    CARANET,
    CCNET,
    DANET,
    EMANET,
    REVERSE_ATTENTION,
    TRANSUNET,
)

Shapes = Mapping[str, tuple[int, ...]]

CAMVID = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian"),
    *("bicyclist", "void"),
)
"""The classes of CamVid in the tutorial of SegNet, whose masks these codes are trained on."""


@dataclass(frozen=True)
class AuthorsCode:
    """One network in the code of its authors.

    Attributes:
        repository: On GitHub.
        architecture: Usual name.
        network: A row of `NETWORKS`.
        signs: Names that all its files have, and those of no other project.
        head: Name of a tensor whose first axis are the classes.
        options: Returns the network's options from the shapes of its tensors, by their names.
        facts: Returns mean and standard deviation, and the size of images, from the number of classes.
        rules: Their names -> limner's; None matches the tensors by their order.
        unused: Regular expression of names that prediction does not need.
        classes_axis: Axis of `head` that is the classes.
        image_channels: Limner's name of a tensor -> axis and first index of the image's channels, of networks
            for BGR.
        constants: Topic -> what the tensors do not show, in words.
        class_names: Number of classes -> their names.
        absolute_norms: Whether norms have the scale ``|weight| + eps``, as those of InPlaceABN.
        window: The sliding window of that code's evaluation.
    """

    repository: str
    architecture: str
    network: str
    signs: tuple[str, ...]
    head: str
    options: Callable[[Shapes], dict[str, Any]]
    facts: Callable[[int], tuple[Inferred[Normalization], Inferred[ResizePlan]]]
    rules: tuple[Rule, ...] | None = None
    unused: str = r"(?!)"
    classes_axis: int = 0
    image_channels: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    class_names: Mapping[int, Sequence[str]] = field(default_factory=dict)
    absolute_norms: bool = False
    window: PredictionWindow | None = None

    @property
    def title(self) -> str:
        """Title of the project."""
        return f"the authors' code ({self.repository})"


def _fixed(
    mean: tuple[float, ...], std: tuple[float, ...], resize: ResizePlan, why: str = "constant in that code"
) -> Callable[[int], tuple[Inferred[Normalization], Inferred[ResizePlan]]]:
    """Return facts that do not depend on the classes; mean and deviation are for values from 0 to 1."""
    values = Normalization(*(tuple(round(255 * v, 4) for v in numbers) for numbers in (mean, std)))
    return lambda _: (Inferred(values, why), Inferred(resize, why))


def _square(side: int) -> Callable[[int], tuple[Inferred[Normalization], Inferred[ResizePlan]]]:
    resize = Inferred(ResizePlan(size=(side, side)), "default of that code's test script")
    return lambda _: (imagenet("ImageNet's, constant in that code"), resize)


def _imagenet_facts(_: int) -> tuple[Inferred[Normalization], Inferred[ResizePlan]]:
    return imagenet("ImageNet's, constant in that code"), Inferred(ResizePlan(), "images are not resized")


def _ccnet_facts(_: int) -> tuple[Inferred[Normalization], Inferred[ResizePlan]]:
    values = Normalization((122.67891434, 116.66876762, 104.00698793), (1.0,) * 3)
    return Inferred(values, "constant in that code"), Inferred(ResizePlan(), "images are not resized")


_ALIGNED = {"interpolation of the scores": "with aligned corners (constant in that code)"}

_UNIT = ((0.0,) * 3, (1.0,) * 3)

_BISENET = {
    19: ((0.3257, 0.3690, 0.3223), (0.2112, 0.2148, 0.2115), "Cityscapes"),
    150: ((0.49343230, 0.46819794, 0.43106043), (0.25680755, 0.25506608, 0.27422913), "ADE20K"),
    171: ((0.46962251, 0.4464104, 0.40718787), (0.27469736, 0.27012361, 0.28515933), "COCO-Stuff"),
}
"""Number of classes -> mean and standard deviation of red, green and blue from 0 to 1, and the dataset."""


def _bisenet_facts(classes: int) -> tuple[Inferred[Normalization], Inferred[ResizePlan]]:
    known = _BISENET.get(classes, ((0.4,) * 3, (0.2,) * 3, "that of a dataset of one's own"))
    values = Normalization(*(tuple(round(255 * v, 4) for v in numbers) for numbers in known[:2]))
    resize = Inferred(ResizePlan(multiple=32), "that code's demo.py")
    return Inferred(
        values, f"{known[2]}, since there are {classes} classes; that code's data loaders"
    ), resize


def _espnet_facts(classes: int) -> tuple[Inferred[Normalization], Inferred[ResizePlan]]:
    # Their scripts divide by 255 after the standardisation. Here red comes first.
    if classes == len(CAMVID):
        mean, std, data = (105.03, 108.41, 110.33), (69.90, 72.69, 72.13), "CamVid"
        resize = Inferred(ResizePlan(), "images of CamVid are not resized")
    else:
        mean, std = (73.15840149, 82.90893555, 72.3923111), (44.91483307, 46.15289307, 45.3192215)
        data, resize = "Cityscapes", Inferred(ResizePlan(size=(512, 1024)), "that code's VisualizeResults.py")
    values = Normalization(mean, tuple(round(255 * value, 4) for value in std))
    return Inferred(values, f"that of {data}, since there are {classes} classes; that code's scripts"), resize


def _enet_options(theirs: Shapes) -> dict[str, Any]:
    return {"layout": "2017" if "initial_block.out_prelu.weight" in theirs else "2019"}


def _espnet_options(theirs: Shapes) -> dict[str, Any]:
    def blocks(level: int) -> int:
        pattern = re.compile(rf"(?:encoder\.)?level{level}\.(\d+)\.")
        return len({match[1] for name in theirs if (match := pattern.match(name))})

    return {"blocks": (blocks(2), blocks(3)), "decoder": "encoder.level1.conv.weight" in theirs}


def _res2net(theirs: Shapes, **options: Any) -> dict[str, Any]:
    blocks = {name.split(".")[2] for name in theirs if name.startswith("resnet.layer3.")}
    backbone = {6: "res2net50d", 23: "res2net101d"}.get(len(blocks), "res2net50d")
    return {"backbone": backbone, **options}


def _transunet_options(theirs: Shapes) -> dict[str, Any]:
    place = "transformer.embeddings"
    units = {tuple(name.split(".")[4:6]) for name in theirs if name.startswith(f"{place}.hybrid_model.body.")}
    layers = {name.split(".")[3] for name in theirs if name.startswith("transformer.encoder.layer.")}
    patches = theirs[f"{place}.position_embeddings"][1]
    return {
        "num_blocks": len(layers),
        "resnet_blocks": tuple(sum(block == f"block{i}" for block, _ in units) for i in (1, 2, 3)),
        "image_size": 16 * round(patches**0.5),
    }


def _dilated(theirs: Shapes, layer3: str, **options: Any) -> dict[str, Any]:
    """Return the options of a ResNet of 50, 101 or 152 layers with stride 8."""
    blocks = {name.removeprefix(layer3).split(".")[0] for name in theirs if name.startswith(layer3)}
    depth = {6: 50, 23: 101, 36: 152}.get(len(blocks), 101)
    is_deep = not any(name.endswith("conv1.weight") and size[2:] == (7, 7) for name, size in theirs.items())
    return {
        "backbone": f"resnet{depth}{'s' if is_deep else ''}",
        "output_stride": 8,
        "upsampling": "aligned",
        **options,
    }


def _danet_options(theirs: Shapes) -> dict[str, Any]:
    # Dilations of 4, 8 and 16 in the last stage: factors of 2, 4 and 4, of which the first is halved.
    return _dilated(theirs, "pretrained.layer3.", multi_grid=(2, 2, 4), auxiliary=False)


def _ccnet_options(theirs: Shapes) -> dict[str, Any]:
    own = {"dilation": "uniform", "activation": "leaky_relu", "auxiliary_bias": True}
    has_side = "dsn.0.weight" in theirs
    side = {"auxiliary_channels": theirs["dsn.0.weight"][0]} if has_side else {"auxiliary": False}
    return _dilated(theirs, "layer3.", **own, **side)


def _emanet_options(theirs: Shapes) -> dict[str, Any]:
    _, width, bases = theirs["emau.mu"]
    own = {"bases": bases, "attention_channels": width, "joins_input": False, "auxiliary": False}
    return _dilated(theirs, "extractor.6.", multi_grid=(1, 2, 4), **own)


def _bisenetv1_options(theirs: Shapes) -> dict[str, Any]:
    return {"gate_activation": "none", "auxiliary": "conv_out16.conv.conv.weight" in theirs}


def _bisenetv2_options(theirs: Shapes) -> dict[str, Any]:
    if "aux2.conv.conv.weight" not in theirs:
        return {"auxiliary": False}
    return {
        "booster_channels": tuple(
            theirs[f"aux{n}.conv_out.0.1.conv.weight"][0] for n in ("2", "3", "4", "5_4")
        )
    }


_ENCODER_LEVELS = {
    "stem.0.weight": (1, 0),
    **{f"join1.{place}": (0, 16) for place in ("0.weight", "0.bias", "0.running_mean", "0.running_var")},
    "join1.1.weight": (0, 16),
    "down2.reduce.weight": (1, 16),
    **{f"join2.{place}": (0, 128) for place in ("0.weight", "0.bias", "0.running_mean", "0.running_var")},
    "join2.1.weight": (0, 128),
    "down3.reduce.weight": (1, 128),
    "decoder.lateral.weight": (1, 128),
}
"""Where the image's channels are among those of ESPNet, which sees the image again at each stride."""

_RELEASED = {"attention along columns": "as in the released code, along rows (constant in that code)"}

CODES: tuple[AuthorsCode, ...] = (
    AuthorsCode(
        "davidtvs/PyTorch-ENet",
        "ENet",
        "enet",
        ("initial_block.main_branch.weight", "transposed_conv.weight"),
        "transposed_conv.weight",
        _enet_options,
        _fixed(*_UNIT, ResizePlan(), "that code's ToTensor; images are not resized here"),
        classes_axis=1,
        class_names={len(CAMVID): CAMVID},
    ),
    AuthorsCode(
        "sacmehta/ESPNet",
        "ESPNet",
        "espnet",
        ("encoder.level1.conv.weight", "encoder.level2_0.c1.conv.weight", "classifier.weight"),
        "classifier.weight",
        _espnet_options,
        _espnet_facts,
        classes_axis=1,
        image_channels=_ENCODER_LEVELS | {"decoder.fuse.0.weight": (1, -3)},
        constants={"channel order": "BGR; channels are reversed where the image enters, so RGB here"},
        class_names={len(CAMVID): CAMVID},
    ),
    AuthorsCode(
        "sacmehta/ESPNet",
        "ESPNet-C",
        "espnet",
        ("level1.conv.weight", "level2_0.c1.conv.weight", "classifier.conv.weight"),
        "classifier.conv.weight",
        _espnet_options,
        _espnet_facts,
        image_channels=_ENCODER_LEVELS,
        constants={"channel order": "BGR; channels are reversed where the image enters, so RGB here"},
        class_names={len(CAMVID): CAMVID},
    ),
    AuthorsCode(
        "CoinCheung/BiSeNet",
        "BiSeNetV1",
        "bisenetv1",
        ("cp.arm16.conv.conv.weight", "ffm.convblk.conv.weight", "conv_out.conv_out.weight"),
        "conv_out.conv_out.weight",
        _bisenetv1_options,
        _bisenet_facts,
    ),
    AuthorsCode(
        "CoinCheung/BiSeNet",
        "BiSeNetV2",
        "bisenetv2",
        ("detail.S1.0.conv.weight", "segment.S1S2.conv.conv.weight", "head.conv_out.1.weight"),
        "head.conv_out.1.weight",
        _bisenetv2_options,
        _bisenet_facts,
    ),
    AuthorsCode(
        "DengPingFan/PraNet",
        "PraNet",
        "pranet",
        ("rfb2_1.branch0.0.conv.weight", "agg1.conv5.weight", "ra4_conv5.conv.weight"),
        "agg1.conv5.weight",
        _res2net,
        _square(352),
        rules=REVERSE_ATTENTION,
        unused=r"^resnet\.fc\.",
    ),
    AuthorsCode(
        "DengPingFan/Inf-Net",
        "Inf-Net",
        "infnet",
        ("rfb2_1.branch0.0.conv.weight", "ParDec.conv5.weight", "edge_conv4.conv.weight"),
        "ParDec.conv5.weight",
        _res2net,
        _square(352),
        rules=REVERSE_ATTENTION,
        unused=r"^resnet\.fc\.",
    ),
    AuthorsCode(
        "AngeLouCN/CaraNet",
        "CaraNet",
        "caranet",
        ("CFP_1.conv1x1.conv.weight", "aa_kernel_1.conv0.conv.weight", "agg1.conv5.weight"),
        "agg1.conv5.weight",
        lambda theirs: _res2net(theirs, column_attention="released"),
        _square(352),
        rules=CARANET,
        unused=r"^resnet\.fc\.",
        constants=_RELEASED,
    ),
    AuthorsCode(
        "Beckschen/TransUNet",
        "TransUNet",
        "transunet",
        (
            "transformer.embeddings.hybrid_model.root.conv.weight",
            "decoder.conv_more.0.weight",
            "segmentation_head.0.weight",
        ),
        "segmentation_head.0.weight",
        _transunet_options,
        _fixed(*_UNIT, ResizePlan(size=(224, 224)), "assumed: values from 0 to 1, images of 224 x 224"),
        rules=TRANSUNET,
    ),
    AuthorsCode(
        "junfu1115/DANet",
        "DANet",
        "danet",
        ("pretrained.bn1.weight", "head.conv5a.0.weight", "head.sa.query_conv.weight"),
        "head.conv8.1.weight",
        _danet_options,
        _imagenet_facts,
        rules=DANET,
        unused=r"^pretrained\.fc\.|^auxlayer\.",
        constants={
            "dilations": "4, 8 and 16 in the last stage, assumed: as in that code's commands; without "
            "--multi-grid there, --set network.options.multi_grid=[1]",
            **_ALIGNED,
        },
    ),
    AuthorsCode(
        "speedinghzl/CCNet",
        "CCNet",
        "ccnet",
        ("conv3.weight", "head.conva.0.weight", "head.cca.query_conv.weight"),
        "head.bottleneck.3.weight",
        _ccnet_options,
        _ccnet_facts,
        rules=CCNET,
        image_channels={"backbone.conv1.0.weight": (1, 0)},
        constants={
            "channel order": "BGR; the first layer's channels are reversed, so RGB here",
            "recurrence": "2, assumed: as in that code's commands",
            "pooling": "equal for sides of the form 8 n + 1, such as those of the window",
            **_ALIGNED,
        },
        absolute_norms=True,
        window=PredictionWindow((769, 769), round(1 / 3, 4)),
    ),
    AuthorsCode(
        "XiaLiPKU/EMANet",
        "EMANet",
        "emanet",
        ("extractor.0.0.weight", "emau.mu", "fc2.weight"),
        "fc2.weight",
        _emanet_options,
        _imagenet_facts,
        rules=EMANET,
        constants={"output stride": "8, assumed: as in that code's settings", **_ALIGNED},
    ),
)
"""All codes, in the order in which they are tried."""
