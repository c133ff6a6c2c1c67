"""Other libraries save their networks with random weights; limner's imports give the same scores.

A row is added for each network of a library. Images have file values, so that mean and standard deviation are
compared too; the second size of each pair is odd, where the library accepts it.
"""

import json

import peers
import pytest
import torch

from limner.core.errors import ModelError
from limner.core.outputs import resize_logits
from limner.weights import import_checkpoint

pytestmark = pytest.mark.peer

CLASSES = 5
MEAN = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
STD = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)
EVEN, ODD, ODD_BLOCKS = (64, 96), (65, 97), (96, 160)


def _images(size):
    draws = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=draws)


def _assert_same(imported, theirs, sizes):
    for size in sizes:
        images = _images(size)
        with torch.no_grad():
            expected = theirs((images / 255 - MEAN) / STD)
            found = resize_logits(imported.model(images).logits, size)
        if expected.shape[1] == 1:  # a sigmoid there, a softmax of two classes here
            expected, found = expected.sigmoid(), found.softmax(1)[:, 1:]
        assert expected.std() > 1e-2
        scale = max(1.0, float(expected.abs().max()) / 10)  # of scores that are larger than usual
        torch.testing.assert_close(found, expected, atol=1e-4 * scale, rtol=1e-4)


SMP = [
    *((kind, "resnet18", {}) for kind in ("Unet", "UnetPlusPlus", "FPN", "PSPNet", "DeepLabV3", "MAnet")),
    *((kind, "resnet18", {}) for kind in ("DeepLabV3Plus", "Linknet", "PAN", "UPerNet")),
    ("Unet", "resnet50", {"classes": 1}),
    ("Unet", "resnet18", {"decoder_attention_type": "scse", "decoder_channels": (64, 32, 32, 16, 16)}),
    ("Unet", "resnext50_32x4d", {}),
    ("Unet", "mit_b0", {}),
    ("Unet", "tu-regnetx_002", {}),
    ("Unet", "tu-convnext_atto", {}),
    ("UnetPlusPlus", "resnet50", {"classes": 1}),
    ("UnetPlusPlus", "timm-res2net50_26w_4s", {}),
    ("FPN", "mit_b0", {"decoder_pyramid_channels": 128}),
    ("FPN", "tu-resnest14d", {}),
    ("PSPNet", "resnet18", {"encoder_depth": 4, "upsampling": 16}),
    ("DeepLabV3", "resnet50", {"encoder_output_stride": 16, "decoder_atrous_rates": (6, 12, 18)}),
    ("DeepLabV3Plus", "resnet18", {"encoder_output_stride": 8}),
    ("DeepLabV3Plus", "resnet50", {"classes": 1}),
    ("Linknet", "resnet50", {}),
    ("MAnet", "resnet50", {"decoder_pab_channels": 32}),
    ("PAN", "resnet50", {"encoder_output_stride": 32}),
    ("UPerNet", "mit_b1", {}),
    ("Segformer", "mit_b0", {}),
    ("Segformer", "mit_b2", {"decoder_segmentation_channels": 128}),
]


def _smp(kind, encoder, options):
    smp = pytest.importorskip(
        "segmentation_models_pytorch", reason="segmentation-models-pytorch is not installed"
    )
    options = {"classes": CLASSES, **options}
    return peers.randomize(getattr(smp, kind)(encoder, encoder_weights=None, **options))


def _sizes(network, kind):
    if kind == "PAN":  # halves the coarsest map three times
        return ((128, 192), (160, 224)) if network.encoder.output_stride == 16 else ((256, 320), (288, 352))
    return (EVEN, ODD_BLOCKS if network.requires_divisible_input_shape else ODD)


@pytest.mark.parametrize(("kind", "encoder", "options"), SMP)
def test_a_folder_of_segmentation_models_pytorch(tmp_path, kind, encoder, options):
    theirs = _smp(kind, encoder, options)
    theirs.save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path)
    _assert_same(imported, theirs, _sizes(theirs, kind))
    assert json.loads((tmp_path / "config.json").read_text("utf-8"))["_model_class"] == kind


@pytest.mark.parametrize("kind", ["Unet", "UnetPlusPlus", "FPN", "PSPNet", "DeepLabV3", "DeepLabV3Plus"])
def test_a_state_dict_of_segmentation_models_pytorch(tmp_path, kind):
    theirs = _smp(kind, "resnet18", {})
    torch.save(theirs.state_dict(), tmp_path / "best.pth")
    _assert_same(import_checkpoint(tmp_path / "best.pth"), theirs, _sizes(theirs, kind))


@pytest.mark.parametrize("name", ["lraspp", "deeplabv3"])
def test_torchvision_on_mobilenet(tmp_path, name):
    segmentation = pytest.importorskip("torchvision.models.segmentation")
    side = {} if name == "lraspp" else {"aux_loss": True}
    build = getattr(segmentation, f"{name}_mobilenet_v3_large")
    theirs = peers.drawn(build, weights=None, weights_backbone=None, num_classes=CLASSES, **side)
    torch.save(theirs.state_dict(), tmp_path / "model.pth")
    _assert_same(import_checkpoint(tmp_path / "model.pth"), lambda x: theirs(x)["out"], (EVEN, ODD))


@pytest.mark.parametrize("depth", [50, 101])
@pytest.mark.parametrize("name", ["fcn", "deeplabv3"])
def test_torchvision(tmp_path, name, depth):
    segmentation = pytest.importorskip("torchvision.models.segmentation")
    build = getattr(segmentation, f"{name}_resnet{depth}")
    sides = {"aux_loss": depth == 101}
    theirs = peers.drawn(build, weights=None, weights_backbone=None, num_classes=CLASSES, **sides)
    torch.save(theirs.state_dict(), tmp_path / "model.pth")
    _assert_same(import_checkpoint(tmp_path / "model.pth"), lambda x: theirs(x)["out"], (EVEN, ODD))


NORM = {"type": "BN"}
DILATED = {"dilations": (1, 1, 2, 4), "strides": (1, 2, 1, 1)}
PLAIN = {"dilations": (1, 1, 1, 1), "strides": (1, 2, 2, 2)}
NARROW, WIDE = (64, 128, 256, 512), (96, 192, 384, 768)
LEVELS = {"in_channels": NARROW, "in_index": (0, 1, 2, 3)}


def _fcn(in_channels, channels, index, num_convs=1):
    head = {"type": "FCNHead", "in_channels": in_channels, "channels": channels, "in_index": index}
    return head | {"num_convs": num_convs, "concat_input": False, "num_classes": CLASSES, "norm_cfg": NORM}


MMSEG = {
    "psp": ({"type": "PSPHead"}, DILATED),
    "deeplabv3": ({"type": "ASPPHead", "dilations": (1, 12, 24, 36)}, DILATED),
    "deeplabv3plus": (
        {
            "type": "DepthwiseSeparableASPPHead",
            "dilations": (1, 12, 24, 36),
            "c1_in_channels": 64,
            "c1_channels": 12,
        },
        DILATED,
    ),
    "fcn": ({"type": "FCNHead", "num_convs": 2}, DILATED),
    "fcn-plain": ({"type": "FCNHead", "num_convs": 1, "concat_input": False}, DILATED),
    "ccnet": ({"type": "CCHead"}, DILATED),
    "danet": ({"type": "DAHead", "pam_channels": 16}, DILATED),
    "ann": (
        {"type": "ANNHead", "in_channels": (256, 512), "in_index": (2, 3), "project_channels": 64},
        DILATED,
    ),
    "emanet": (
        {
            "type": "EMAHead",
            "channels": 64,
            "ema_channels": 128,
            "num_bases": 16,
            "num_stages": 3,
        },
        DILATED,
    ),
    "upernet": ({"type": "UPerHead", **LEVELS}, PLAIN),
    "semantic-fpn": ({"type": "FPNHead", **LEVELS, "feature_strides": (4, 8, 16, 32)}, PLAIN),
}


@pytest.mark.parametrize("name", MMSEG)
def test_mmsegmentation_on_a_resnet(tmp_path, name):
    options, strides = MMSEG[name]
    backbone = {"type": "ResNetV1c", "depth": 18, "norm_cfg": NORM, "contract_dilation": True, **strides}
    has_side = name not in ("semantic-fpn", "upernet")
    head = {"in_channels": 512, "in_index": 3, "channels": 128, **options}
    if name == "semantic-fpn":
        head["in_channels"] = (32,) * 4
    theirs = _mmseg(backbone, head, has_side=has_side, has_neck=name == "semantic-fpn")
    said = f"backbone=dict(strides={strides['strides']}), decode_head=dict(dilations=(1, 12, 24, 36))"
    slide = "test_cfg=dict(mode='slide', crop_size=(64, 96), stride=(48, 48))"
    pipeline = "[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, 512), keep_ratio=True)]"
    config = f"model = dict({said}, {slide})\ntest_pipeline = {pipeline}"
    data = {"classes": tuple("abcde"), "palette": [[i] * 3 for i in range(5)]}
    meta = {"cfg": config, "dataset_meta": data}
    torch.save({"state_dict": theirs.state_dict(), "meta": meta}, tmp_path / "iter_1.pth")
    imported = import_checkpoint(tmp_path / "iter_1.pth")
    _assert_same(imported, lambda x: _mmseg_scores(theirs, x), (EVEN, ODD))
    assert imported.model.labels.names == tuple("abcde")
    assert imported.model.labels.classes[3].color == (3, 3, 3)
    inference = imported.model.plan.inference
    assert (inference.window, inference.overlap) == ((64, 96), 0.5)
    assert (inference.resize.shortest, inference.resize.longest) == (512, 2048)
    assert imported.facts["sliding window"].startswith("64 x 96, overlap 0.50")


V2 = {"type": "MobileNetV2", "strides": (1, 2, 2, 1, 1, 1, 1), "dilations": (1, 1, 1, 2, 2, 4, 4)}
V2 |= {"out_indices": (1, 2, 4, 6), "norm_cfg": NORM}
V2_HEADS = {
    "fcn": {"type": "FCNHead", "num_convs": 2},
    "psp": {"type": "PSPHead"},
    "deeplabv3": {"type": "ASPPHead", "dilations": (1, 12, 24, 36)},
    "deeplabv3plus": {
        "type": "DepthwiseSeparableASPPHead",
        "dilations": (1, 12, 24, 36),
        "c1_in_channels": 24,
        "c1_channels": 12,
    },
}


@pytest.mark.parametrize("name", V2_HEADS)
def test_mmsegmentation_on_a_mobilenetv2(tmp_path, name):
    head = {"in_channels": 320, "in_index": 3, "channels": 64, **V2_HEADS[name]}
    theirs = _mmseg(V2, head, has_side=True, middle=96)
    peers.settle(theirs["backbone"], (_images(EVEN) / 255 - MEAN) / STD)
    config = "model = dict(backbone=dict(type='MobileNetV2', strides=(1, 2, 2, 1, 1, 1, 1)))"
    meta = {"cfg": config} if name == "psp" else {}
    torch.save({"state_dict": theirs.state_dict(), "meta": meta}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    options = imported.model.plan.network.options
    assert (options["backbone"], options["output_stride"]) == ("mobilenet_v2", 8)
    _assert_same(imported, lambda x: _mmseg_scores(theirs, x), (EVEN, ODD))


@pytest.mark.parametrize("arch", ["large", "small"])
def test_mmsegmentation_lraspp(tmp_path, arch):
    norm = NORM | {"eps": 1e-3}
    last, taps = (960, (1, 3, 16)) if arch == "large" else (576, (0, 1, 12))
    backbone = {"type": "MobileNetV3", "arch": arch, "out_indices": taps, "norm_cfg": norm}
    head = {"type": "LRASPPHead", "in_channels": (16, 24 if arch == "large" else 16, last)}
    head |= {"in_index": (0, 1, 2), "input_transform": "multiple_select", "norm_cfg": norm}
    theirs = _mmseg(backbone, head)
    sizes = ((400, 552), (401, 553))  # two of the windows that the gate pools over
    peers.settle(theirs["backbone"], (_images(sizes[0]) / 255 - MEAN) / STD)
    torch.save({"state_dict": theirs.state_dict(), "meta": {}}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    assert imported.model.plan.network.options["backbone"] == f"tf_mobilenet_v3_{arch}"
    _assert_same(imported, lambda x: _mmseg_scores(theirs, x), sizes)
    assert any("eps" in how for how in imported.tensors.reshaped.values())


@pytest.mark.parametrize("kind", ["ResNet", "ResNetV1d", "uniform"])
def test_mmsegmentation_on_other_resnets(tmp_path, kind):
    is_uniform = kind == "uniform"
    deep, depth = (2048, 50) if is_uniform else (512, 18)
    backbone = {"type": "ResNetV1c" if is_uniform else kind, "depth": depth, "norm_cfg": NORM, **DILATED}
    backbone |= {"contract_dilation": not is_uniform, "num_stages": 4, "out_indices": (0, 1, 2, 3)}
    theirs = _mmseg(backbone, {"type": "PSPHead", "in_channels": deep, "in_index": 3, "channels": 32})
    side = {"type": "FCNHead", "in_channels": deep // 2, "in_index": 2, "channels": 24, "num_convs": 2}
    side |= {"num_classes": CLASSES, "norm_cfg": NORM}
    sides = [peers.mmseg_models().HEADS.build(side | {"in_index": index}) for index in (1, 2)]
    theirs["auxiliary_head"] = torch.nn.ModuleList(sides)
    said = "dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)"
    config = f"model = dict(backbone={said}, contract_dilation={not is_uniform}))"
    torch.save({"state_dict": theirs.state_dict(), "meta": {"cfg": config}}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    _assert_same(imported, lambda x: _mmseg_scores(theirs, x), (EVEN, ODD))
    assert "auxiliary_head.1.conv_seg.weight" in imported.tensors.left_out
    assert imported.model.plan.network.options["auxiliary"] is False


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_mmsegmentation_segformer(tmp_path, order):
    backbone = {"type": "MixVisionTransformer", "embed_dims": 32, "num_layers": (2, 2, 2, 2)}
    head = {"type": "SegformerHead", "in_channels": (32, 64, 160, 256), "in_index": (0, 1, 2, 3)}
    theirs = _mmseg(backbone | {"num_heads": (1, 2, 5, 8)}, head | {"channels": 256})
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    if order == "bgr":
        mean, std = mean[::-1], std[::-1]
    said = f"dict(mean={mean}, std={std}, bgr_to_rgb={order == 'rgb'})"
    config = f"model = dict(type='EncoderDecoder', data_preprocessor={said})"
    torch.save({"state_dict": theirs.state_dict(), "meta": {"cfg": config}}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    assert order.upper() in imported.facts["channel order"]

    def scores(images):
        return _mmseg_scores(theirs, images if order == "rgb" else images.flip(1))

    _assert_same(imported, scores, (EVEN, ODD))


def test_mmsegmentation_swin(tmp_path):
    backbone = {"type": "SwinTransformer", "embed_dims": 96, "depths": (2, 2, 6, 2)}
    backbone |= {"num_heads": (3, 6, 12, 24), "window_size": 7}
    head = {"type": "UPerHead", "in_channels": WIDE, "in_index": (0, 1, 2, 3), "channels": 64}
    theirs = _mmseg(backbone, head)
    torch.save({"state_dict": theirs.state_dict(), "meta": {}}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    _assert_same(imported, lambda x: _mmseg_scores(theirs, x), (EVEN, ODD))
    assert any("merged patches" in how for how in imported.tensors.reshaped.values())


def test_mmsegmentation_convnext(tmp_path):
    head = {"type": "UPerHead", "in_channels": WIDE, "in_index": (0, 1, 2, 3), "channels": 32}
    theirs = _mmseg({"type": "SwinTransformer", "embed_dims": 96, "depths": (1, 1, 1, 1)}, head)
    backbone = {"type": "ConvNeXt", "arch": "tiny", "out_indices": [0, 1, 2, 3]}
    theirs["backbone"] = peers.openmmlab("mmpretrain")(backbone | {"gap_before_final_norm": False})
    peers.randomize(theirs)
    torch.save({"state_dict": theirs.state_dict(), "meta": {}}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    assert imported.model.plan.network.options["backbone"] == "convnext_tiny"
    _assert_same(imported, lambda x: _mmseg_scores(theirs, x), (EVEN, ODD))


def test_transformers_upernet_on_convnext(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    stages = ["stage1", "stage2", "stage3", "stage4"]
    config = transformers.UperNetConfig(
        backbone_config=transformers.ConvNextConfig(hidden_sizes=list(WIDE), out_features=stages),
        num_labels=CLASSES,
        hidden_size=32,
        auxiliary_in_channels=384,
        auxiliary_channels=16,
    )
    theirs = peers.randomize(transformers.UperNetForSemanticSegmentation(config))
    theirs.save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path)
    assert imported.model.plan.network.options["backbone"] == "convnext_tiny"
    _assert_same(imported, lambda x: resize_logits(theirs(x).logits, x.shape[2:]), (EVEN, ODD))


def test_mmsegmentation_beit(tmp_path):
    backbone = {"type": "BEiT", "img_size": (64, 64), "embed_dims": 192, "num_heads": 3, "num_layers": 5}
    backbone |= {"out_indices": (0, 1, 2, 3), "norm_cfg": {"type": "LN", "eps": 1e-6}}
    head = {"type": "UPerHead", "in_channels": (192,) * 4, "in_index": (0, 1, 2, 3), "channels": 32}
    theirs = _mmseg(backbone, head)
    neck = {"type": "Feature2Pyramid", "embed_dim": 192, "norm_cfg": NORM}
    theirs["neck"] = peers.randomize(peers.mmseg_models().BACKBONES.build(neck))
    config = "model = dict(backbone=dict(out_indices=(0, 1, 2, 3)))"
    torch.save({"state_dict": theirs.state_dict(), "meta": {"cfg": config}}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    _assert_same(imported, lambda x: _mmseg_scores(theirs, x), ((64, 64),))  # positions fit one size there
    table = imported.tensors
    named = {*table.used, *table.renamed, *table.reshaped, *table.left_out}
    assert theirs.state_dict().keys() <= named | {n for n in theirs.state_dict() if n.endswith("index")}
    assert imported.model.plan.inference.window == (64, 64)


VIT = {"type": "VisionTransformer", "img_size": (64, 64), "embed_dims": 192, "num_layers": 4, "num_heads": 3}
VIT |= {"out_indices": (0, 1, 2, 3), "norm_cfg": {"type": "LN", "eps": 1e-6}, "interpolate_mode": "bilinear"}
UP = {"type": "SETRUPHead", "in_channels": 192, "channels": 16, "dropout_ratio": 0}
VIT_WIDTHS = {"in_channels": (192,) * 4, "in_index": (0, 1, 2, 3)}
VIT_HEADS = {
    "setr-naive": (
        {},
        None,
        UP | {"num_convs": 1, "up_scale": 4, "kernel_size": 1, "in_index": 3},
        [UP | {"num_convs": 1, "up_scale": 4, "kernel_size": 1, "in_index": level} for level in range(3)],
    ),
    "setr-pup": (
        {},
        None,
        UP | {"num_convs": 4, "up_scale": 2, "in_index": 3},
        [UP | {"num_convs": 1, "up_scale": 4, "in_index": level} for level in range(3)],
    ),
    "setr-mla": (
        {"with_cls_token": False},
        {"type": "MLANeck", "in_channels": [192] * 4, "out_channels": 16, "norm_cfg": NORM}
        | {"act_cfg": {"type": "ReLU"}},
        {"type": "SETRMLAHead", "in_channels": (16,) * 4, "in_index": (0, 1, 2, 3), "channels": 32}
        | {"mla_channels": 8},
        [_fcn(16, 16, level, 0) | {"kernel_size": 1} for level in range(4)],
    ),
    "vit-upernet": (
        {"final_norm": True, "interpolate_mode": "bicubic"},
        {"type": "MultiLevelNeck", "in_channels": [192] * 4, "out_channels": 192, "scales": [4, 2, 1, 0.5]},
        {"type": "UPerHead", "channels": 32, **VIT_WIDTHS},
        _fcn(192, 16, 3),
    ),
    "vit-upernet-no-neck": ({}, None, {"type": "UPerHead", "channels": 32, **VIT_WIDTHS}, _fcn(192, 16, 3)),
    "vit-linear": ({"final_norm": True, "out_indices": -1}, None, _fcn(192, 192, 0, 0), None),
}


@pytest.mark.parametrize("name", VIT_HEADS)
def test_mmsegmentation_vit(tmp_path, name):
    more, neck, head, side = VIT_HEADS[name]
    models = peers.mmseg_models()
    build = models.HEADS.build
    common = {"num_classes": CLASSES, "norm_cfg": NORM, "align_corners": False}
    parts = {"backbone": models.BACKBONES.build(VIT | more), "decode_head": build({**common, **head})}
    if neck:
        parts["neck"] = models.BACKBONES.build(neck)
    if side:
        is_list = isinstance(side, list)
        sides = [build({**common, **one}) for one in (side if is_list else [side])]
        parts["auxiliary_head"] = torch.nn.ModuleList(sides) if is_list else sides[0]
    theirs = peers.randomize(torch.nn.ModuleDict(parts))
    said = VIT | more
    said = f"backbone=dict(out_indices={said['out_indices']}, interpolate_mode='{said['interpolate_mode']}')"
    meta = {"cfg": f"model = dict({said})"}
    torch.save({"state_dict": theirs.state_dict(), "meta": meta}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    table = imported.tensors
    assert theirs.state_dict().keys() == {*table.used, *table.renamed, *table.reshaped, *table.left_out}
    _assert_same(imported, lambda x: _mmseg_scores(theirs, x), ((64, 64), EVEN))


@pytest.mark.parametrize("kind", ["beit", "upernet"])
def test_transformers_beit(tmp_path, kind):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    size = {"hidden_size": 192, "num_hidden_layers": 5, "num_attention_heads": 3, "intermediate_size": 768}
    size |= {"image_size": 64, "use_relative_position_bias": True, "layer_norm_eps": 1e-6}
    if kind == "beit":
        config = transformers.BeitConfig(**size, out_indices=[2, 3, 4, 5], num_labels=CLASSES)
        theirs = transformers.BeitForSemanticSegmentation(config)
    else:
        config = transformers.UperNetConfig(
            backbone_config=transformers.BeitConfig(**size, out_indices=[1, 2, 3, 5], add_fpn=True),
            num_labels=CLASSES,
            hidden_size=32,
            auxiliary_in_channels=192,
            auxiliary_channels=16,
        )
        theirs = transformers.UperNetForSemanticSegmentation(config)
    peers.randomize(theirs).save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path)
    options = imported.model.plan.network.options
    assert options["taps"] == ((0, 1, 2, 3) if kind == "beit" else (0, 1, 2, 4))
    # Their patches do not overlap the border of an image, so an odd size is an odd number of patches.
    _assert_same(imported, lambda x: resize_logits(theirs(x).logits, x.shape[2:]), ((64, 64), (80, 112)))


def _hrnet(*, small):
    """The settings of an HRNet of width 18."""
    stages = zip((2, 3, 4), (1, 3, 2) if small else (1, 4, 3), strict=True)
    blocks, widths = 2 if small else 4, (18, 36, 72, 144)
    first = {"num_modules": 1, "num_branches": 1, "block": "BOTTLENECK"}
    extra = {"stage1": first | {"num_blocks": (blocks,), "num_channels": (64,)}}
    for branches, modules in stages:
        sizes = {"num_blocks": (blocks,) * branches, "num_channels": widths[:branches]}
        extra[f"stage{branches}"] = {
            "num_modules": modules,
            "num_branches": branches,
            "block": "BASIC",
        } | sizes
    return {"type": "HRNet", "norm_cfg": NORM, "extra": extra}


@pytest.mark.parametrize(("name", "small"), [("hrnetv2_w18", False), ("hrnetv2_w18_small", True)])
def test_mmsegmentation_hrnet(tmp_path, name, small):
    widths = (18, 36, 72, 144)
    head = {"type": "FCNHead", "in_channels": widths, "in_index": (0, 1, 2, 3), "channels": sum(widths)}
    head |= {"input_transform": "resize_concat", "kernel_size": 1, "num_convs": 1, "concat_input": False}
    theirs = _mmseg(_hrnet(small=small), head)
    peers.settle(theirs["backbone"], (_images((128, 128)) / 255 - MEAN) / STD)
    torch.save({"state_dict": theirs.state_dict(), "meta": {}}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    assert imported.model.plan.network.options["backbone"] == name
    _assert_same(imported, lambda x: _mmseg_scores(theirs, x), (EVEN, ODD))


@pytest.mark.parametrize("backbone", ["resnet", "hrnet"])
def test_mmsegmentation_ocrnet(tmp_path, backbone):
    models = peers.mmseg_models()
    common = {"num_classes": CLASSES, "norm_cfg": NORM, "num_convs": 1, "concat_input": False}
    if backbone == "resnet":
        inside = {"type": "ResNetV1c", "depth": 18, "norm_cfg": NORM, "contract_dilation": True, **DILATED}
        inside |= {"num_stages": 4, "out_indices": (0, 1, 2, 3)}
        coarse = {"in_channels": 256, "channels": 24, "in_index": 2}
        last = {"in_channels": 512, "in_index": 3}
    else:
        inside, widths = _hrnet(small=True), (18, 36, 72, 144)
        last = {"in_channels": widths, "in_index": (0, 1, 2, 3), "input_transform": "resize_concat"}
        coarse = last | {"channels": sum(widths), "kernel_size": 1}
    ocr = {"type": "OCRHead", "channels": 32, "ocr_channels": 16, "num_classes": CLASSES, "norm_cfg": NORM}
    heads = [models.HEADS.build({"type": "FCNHead", **common, **coarse}), models.HEADS.build(ocr | last)]
    parts = {"backbone": models.BACKBONES.build(inside), "decode_head": torch.nn.ModuleList(heads)}
    theirs = peers.randomize(torch.nn.ModuleDict(parts))
    peers.settle(theirs["backbone"], (_images((128, 128)) / 255 - MEAN) / STD)
    torch.save({"state_dict": theirs.state_dict(), "meta": {}}, tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth")
    table = imported.tensors
    named = {*table.used, *table.renamed, *table.reshaped, *table.left_out}
    assert theirs.state_dict().keys() == named

    def scores(images):
        maps = theirs["backbone"](images)
        return resize_logits(heads[1](maps, heads[0](maps)), images.shape[2:])

    _assert_same(imported, scores, (EVEN, ODD))


BOOSTERS = enumerate([(16, 16), (32, 64), (64, 256), (128, 1024)], 1)
WHOLE = {
    "unet": (
        {"type": "UNet", "base_channels": 8, "norm_cfg": NORM},
        _fcn(8, 8, 4),
        _fcn(16, 8, 3),
        ((64, 96), (80, 112)),  # it takes no others
    ),
    "bisenetv1": (
        {
            "type": "BiSeNetV1",
            "backbone_cfg": {"type": "ResNet", "depth": 18, "norm_cfg": NORM},
            "context_channels": (128, 256, 512),
            "spatial_channels": (64, 64, 64, 128),
            "out_channels": 256,
            "norm_cfg": NORM,
        },
        _fcn(256, 256, 0),
        [_fcn(128, 64, 1), _fcn(128, 64, 2)],
        (EVEN, ODD),
    ),
    "bisenetv2": (
        {"type": "BiSeNetV2", "norm_cfg": NORM},
        _fcn(128, 1024, 0),
        [_fcn(width, channels, index, 2) for index, (width, channels) in BOOSTERS],
        (EVEN, ODD),
    ),
}


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("name", WHOLE)
def test_mmsegmentation_whole_networks(tmp_path, name, order):
    backbone, head, side, sizes = WHOLE[name]
    build = peers.openmmlab("mmseg")
    sides = torch.nn.ModuleList(map(build, side)) if isinstance(side, list) else build(side)
    parts = {"backbone": build(backbone), "decode_head": build(head), "auxiliary_head": sides}
    theirs = peers.randomize(torch.nn.ModuleDict(parts))
    mean, std = (255 * MEAN).flatten().tolist(), (255 * STD).flatten().tolist()
    said = f"data_preprocessor=dict(mean={mean}, std={std}, bgr_to_rgb=True)"
    if order == "bgr":
        said = f"data_preprocessor=dict(mean={mean[::-1]}, std={std[::-1]}, bgr_to_rgb=False)"
    slide = "test_cfg=dict(mode='slide', crop_size=64, stride=42)"
    torch.save(
        {"state_dict": theirs.state_dict(), "meta": {"cfg": f"model = dict({said}, {slide})"}},
        tmp_path / "a.pth",
    )
    imported = import_checkpoint(tmp_path / "a.pth")
    assert imported.model.plan.network.name == name
    assert imported.model.plan.inference.window == (64, 64)
    table = imported.tensors
    assert theirs.state_dict().keys() == {*table.used, *table.renamed, *table.reshaped, *table.left_out}

    def scores(images):
        return _mmseg_scores(theirs, images if order == "rgb" else images.flip(1))

    _assert_same(imported, scores, sizes)


@pytest.mark.parametrize(
    ("backbone", "head", "words"),
    [
        ({"upsample_cfg": {"type": "DeconvModule"}}, {}, "variant of mmsegmentation's U-Net"),
        ({"strides": (1, 2, 2, 2, 2)}, {}, "variant of mmsegmentation's U-Net"),
        ({}, {"type": "PSPHead"}, "this decode head of mmsegmentation on a U-Net"),
    ],
)
def test_other_unets_of_mmsegmentation_are_refused_by_name(tmp_path, backbone, head, words):
    build = peers.openmmlab("mmseg")
    unet = {"type": "UNet", "base_channels": 4, "norm_cfg": NORM, **backbone}
    common = {"in_channels": 4, "in_index": 4, "channels": 4, "num_classes": 2, "norm_cfg": NORM}
    head = {"type": "FCNHead", "concat_input": False} | head
    if head["type"] == "PSPHead":
        del head["concat_input"]
    parts = {"backbone": build(unet), "decode_head": build({**common, **head})}
    state = torch.nn.ModuleDict(parts).state_dict()
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=words):
        import_checkpoint(tmp_path / "a.pth")


def _mmseg(backbone, head, *, has_side=False, has_neck=False, middle=256):
    models = peers.mmseg_models()
    if backbone["type"] == "ResNetV1c":
        backbone = backbone | {"num_stages": 4, "out_indices": (0, 1, 2, 3)}
    common = {"num_classes": CLASSES, "norm_cfg": NORM, "align_corners": False}
    parts = {
        "backbone": models.BACKBONES.build(backbone),
        "decode_head": models.HEADS.build({**common, "channels": 128, **head}),
    }
    if has_side:
        side = {"type": "FCNHead", "in_channels": middle, "in_index": 2, "channels": 24, "num_convs": 1}
        parts["auxiliary_head"] = models.HEADS.build({**common, **side, "concat_input": False})
    if has_neck:
        neck = {"type": "FPN", "in_channels": list(NARROW), "out_channels": 32, "num_outs": 4}
        parts["neck"] = models.BACKBONES.build(neck)
    return peers.randomize(torch.nn.ModuleDict(parts))


def _mmseg_scores(theirs, images):
    maps = theirs["backbone"](images)
    maps = theirs["neck"](maps) if "neck" in theirs else maps
    scores = theirs["decode_head"](maps)
    scores = scores[0] if isinstance(scores, tuple) else scores
    return resize_logits(scores, images.shape[2:])


@pytest.mark.parametrize("widths", [(32, 64, 160, 256), (64, 128, 320, 512)])
def test_transformers_segformer(tmp_path, widths):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    names = {i: f"kind {i}" for i in range(CLASSES)}
    config = transformers.SegformerConfig(hidden_sizes=list(widths), id2label=names)
    theirs = peers.randomize(transformers.SegformerForSemanticSegmentation(config))
    theirs.save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path)
    _assert_same(imported, lambda x: resize_logits(theirs(x).logits, x.shape[2:]), (EVEN, ODD))
    assert imported.model.labels.names == tuple(names.values())


@pytest.mark.parametrize("backbone", ["swin", "resnet"])
def test_transformers_maskformer(tmp_path, backbone):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    stages = ["stage1", "stage2", "stage3", "stage4"]
    kind = transformers.MaskFormerSwinConfig if backbone == "swin" else transformers.ResNetConfig
    options = {"depths": [2, 2, 6, 2]} if backbone == "swin" else {}
    config = transformers.MaskFormerConfig(
        backbone_config=kind(out_features=stages, **options),
        decoder_config=transformers.DetrConfig(num_queries=12, decoder_layers=3),
        num_labels=CLASSES,
    )
    theirs = peers.randomize(transformers.MaskFormerForInstanceSegmentation(config))
    theirs.save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path, task="semantic")
    for size in (EVEN, ODD):
        images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected, found = theirs(images), imported.model.network(images)
        close = {"atol": 1e-4, "rtol": 1e-4}
        torch.testing.assert_close(found.class_logits, expected.class_queries_logits, **close)
        torch.testing.assert_close(found.mask_logits, expected.masks_queries_logits, **close)


@pytest.mark.parametrize("backbone", ["swin", "resnet"])
def test_transformers_upernet(tmp_path, backbone):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    stages = ["stage1", "stage2", "stage3", "stage4"]
    kind = transformers.SwinConfig if backbone == "swin" else transformers.ResNetConfig
    config = transformers.UperNetConfig(
        backbone_config=kind(out_features=stages),
        num_labels=CLASSES,
        hidden_size=64,
        auxiliary_channels=16,
        auxiliary_in_channels=384 if backbone == "swin" else 1024,
    )
    theirs = peers.randomize(transformers.UperNetForSemanticSegmentation(config))
    theirs.save_pretrained(tmp_path)
    _assert_same(import_checkpoint(tmp_path), lambda x: theirs(x).logits, (EVEN, ODD))


@pytest.mark.parametrize("readout", ["project", "ignore"])
def test_transformers_dpt(tmp_path, readout):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.DPTConfig(
        hidden_size=192,
        num_hidden_layers=4,
        num_attention_heads=3,
        intermediate_size=768,
        backbone_out_indices=[0, 1, 2, 3],
        image_size=64,
        neck_hidden_sizes=[16, 24, 32, 40],
        fusion_hidden_size=48,
        readout_type=readout,
        layer_norm_eps=1e-6,  # 1e-12 by default, which matters only to tokens as small as these
        use_batch_norm_in_fusion_residual=readout == "project",
        num_labels=CLASSES,
    )
    theirs = peers.randomize(transformers.DPTForSemanticSegmentation(config))
    theirs.save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path)
    images = (_images((64, 64)) / 255 - MEAN) / STD
    with torch.no_grad():
        expected = resize_logits(theirs(images).logits, (64, 64))
        found = imported.model.network(images).logits
    # Residual sums without norms are large.
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("readout", ["cat", "add"])
def test_dpt_of_segmentation_models_pytorch(tmp_path, readout):
    smp = pytest.importorskip(
        "segmentation_models_pytorch", reason="segmentation-models-pytorch is not installed"
    )
    options = {"decoder_intermediate_channels": (16, 24, 32, 40), "decoder_fusion_channels": 32}
    theirs = smp.DPT(
        "tu-vit_tiny_patch16_224",
        encoder_weights=None,
        classes=CLASSES,
        decoder_readout=readout,
        img_size=64,
        **options,
    )
    peers.randomize(theirs).save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path)
    images = (_images((64, 64)) / 255 - MEAN) / STD
    with torch.no_grad():
        expected, found = theirs(images), imported.model.network(images).logits
    # Residual sums without norms are large.
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
