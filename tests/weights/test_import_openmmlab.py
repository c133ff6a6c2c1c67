"""Networks of mmdetection, mmpretrain and mmocr with random weights give the same outputs in limner."""

import re

import peers
import pytest
import torch

from limner.weights import import_checkpoint

pytestmark = pytest.mark.peer

CLASSES, SIZES = 7, ((96, 128), (75, 101))
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
NAMES = tuple(f"kind {i}" for i in range(CLASSES))
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
GROUP, RELU = {"type": "GN", "num_groups": 32}, {"type": "ReLU", "inplace": True}
FROZEN = {"type": "BN", "requires_grad": False}
RESNET = {"type": "ResNet", "num_stages": 4, "norm_cfg": FROZEN, "norm_eval": True, "style": "pytorch"}
ATTENTION = {"embed_dims": 256, "num_heads": 8, "dropout": 0.0, "batch_first": True}
POSITION = {"num_feats": 128, "normalize": True}


def _ffn(width):
    return {
        "embed_dims": 256,
        "feedforward_channels": width,
        "num_fcs": 2,
        "ffn_drop": 0.0,
        "act_cfg": RELU,
    }


def _images(size):
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


def _samples(images):
    structures = pytest.importorskip("mmdet.structures")
    size = tuple(images.shape[2:])
    return [structures.DetDataSample(metainfo={"batch_input_shape": size, "img_shape": size}) for _ in images]


def _save(path, state, config="", meta=None):
    meta = {"dataset_meta": {"classes": NAMES}, "cfg": config} if meta is None else meta
    torch.save({"state_dict": state, "meta": meta, "message_hub": {}}, path)
    return path


def _shake(network):
    """Draw what is zero or one at first, which would hide mistakes."""
    torch.manual_seed(0)
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.endswith("running_var"):
            tensor.data.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            spread = 0.05 if tensor.ndim < 2 or float(tensor.detach().abs().max()) == 0 else 0.0
            tensor.data.add_(spread * torch.randn_like(tensor))
    return network.eval()


FORMS = {"plain": (False, False), "refinement": (True, False), "two-stage": (True, True)}


def _deformable_detr(form):
    refines, two_stage = FORMS[form]
    layer = {
        "self_attn_cfg": {"embed_dims": 256, "batch_first": True, "dropout": 0.0},
        "ffn_cfg": _ffn(512),
    }
    settings = {
        "type": "DeformableDETR",
        "num_queries": 20,
        "num_feature_levels": 4,
        "with_box_refine": refines,
        "as_two_stage": two_stage,
        "backbone": {**RESNET, "depth": 18, "out_indices": (1, 2, 3)},
        "neck": {
            "type": "ChannelMapper",
            "in_channels": [128, 256, 512],
            "kernel_size": 1,
            "out_channels": 256,
            "act_cfg": None,
            "norm_cfg": GROUP,
            "num_outs": 4,
        },
        "encoder": {"num_layers": 2, "layer_cfg": layer},
        "decoder": {
            "num_layers": 3,
            "return_intermediate": True,
            "layer_cfg": {**layer, "self_attn_cfg": ATTENTION, "cross_attn_cfg": layer["self_attn_cfg"]},
            "post_norm_cfg": None,
        },
        "positional_encoding": {**POSITION, "offset": -0.5},
        "bbox_head": {
            "type": "DeformableDETRHead",
            "num_classes": CLASSES,
            "loss_cls": {"type": "FocalLoss", "use_sigmoid": True},
        },
        "test_cfg": {"max_per_img": 100},
    }
    build = peers.openmmlab("mmdet")
    torch.manual_seed(0)  # other weights may rank two proposals so close that rounding swaps them
    network = build(settings)
    network.init_weights()
    return _shake(network)


DETECTOR = (
    "model = dict(with_box_refine={}, num_queries=20, "
    "data_preprocessor=dict(mean={}, std={}, bgr_to_rgb=True))\n"
    "test_pipeline = [dict(type='LoadImageFromFile'), "
    "dict(type='Resize', scale=(1000, 600), keep_ratio=True)]"
)

# Names of mmdetection 2, from those of 3: by the code of version 2.28.
OLDER = (
    (r"^(encoder|decoder|level_embed)", r"bbox_head.transformer.\1"),
    (r"level_embed$", "level_embeds"),
    (r"\.self_attn\.", ".attentions.0."),
    (r"\.cross_attn\.", ".attentions.1."),
    (r"\.ffn\.", ".ffns.0."),
    (r"^reference_points_fc\.", "bbox_head.transformer.reference_points."),
    (r"^query_embedding\.", "bbox_head.query_embedding."),
    (r"^memory_trans_fc\.", "bbox_head.transformer.enc_output."),
    (r"^memory_trans_norm\.", "bbox_head.transformer.enc_output_norm."),
    (r"^pos_trans_fc\.", "bbox_head.transformer.pos_trans."),
    (r"^pos_trans_norm\.", "bbox_head.transformer.pos_trans_norm."),
)


def _older(state, rules):
    names = {}
    for name, tensor in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        names[name] = tensor
    return names


@pytest.mark.parametrize("form", FORMS)
def test_deformable_detr(tmp_path, form):
    theirs = _deformable_detr(form)
    state = theirs.state_dict()
    config = DETECTOR.format(FORMS[form][0], list(MEAN), list(STD))
    imported = import_checkpoint(_save(tmp_path / "a.pth", state, config))
    old = f"model = dict(bbox_head=dict(num_query=20, with_box_refine={FORMS[form][0]}))"
    meta = {"CLASSES": NAMES, "config": old}
    older = import_checkpoint(_save(tmp_path / "b.pth", _older(state, OLDER), meta=meta))
    for size in SIZES:
        images = _images(size)
        with torch.no_grad():
            scores, boxes = theirs._forward(images, _samples(images))[:2]
            for model in (imported.model, older.model):
                found = model.network(images)
                torch.testing.assert_close(found.class_logits, scores[-1], **CLOSE)
                torch.testing.assert_close(found.boxes, boxes[-1], **CLOSE)
        assert scores[-1].std(1).min() > 1e-3
    plan = imported.model.plan
    assert plan.input.mean == MEAN and imported.model.labels.names == NAMES == older.model.labels.names
    resize = plan.inference.resize
    assert (resize.shortest, resize.longest) == (600, 1000)
    assert plan.network.options["backbone_norm"] == "frozen"
    table = imported.tensors
    assert {*table.used, *table.renamed, *table.reshaped, *table.left_out} == state.keys()


def _head(kind, widths, pixel_decoder, **more):
    layer = {"self_attn_cfg": ATTENTION, "cross_attn_cfg": ATTENTION, "ffn_cfg": _ffn(512)}
    decoder = {"return_intermediate": True, "num_layers": 3, "layer_cfg": layer, "init_cfg": None}
    return {
        "type": kind,
        "in_channels": list(widths),
        "feat_channels": 256,
        "out_channels": 256,
        "num_things_classes": 5,
        "num_stuff_classes": 2,
        "num_queries": 12,
        "pixel_decoder": {"norm_cfg": GROUP, "act_cfg": RELU, **pixel_decoder},
        "positional_encoding": POSITION,
        "transformer_decoder": decoder,
        "loss_cls": {"type": "CrossEntropyLoss", "class_weight": [1.0] * 7 + [0.1]},
        "loss_mask": {"type": "CrossEntropyLoss", "use_sigmoid": True},
        "loss_dice": {"type": "DiceLoss", "use_sigmoid": True},
        **more,
    }


DEFORMABLE = {
    "type": "MSDeformAttnPixelDecoder",
    "num_outs": 3,
    "encoder": {
        "num_layers": 2,
        "layer_cfg": {"self_attn_cfg": {**ATTENTION, "num_levels": 3, "num_points": 4}, "ffn_cfg": _ffn(512)},
    },
    "positional_encoding": POSITION,
}
ENCODER = {
    "type": "TransformerEncoderPixelDecoder",
    "encoder": {"num_layers": 2, "layer_cfg": {"self_attn_cfg": ATTENTION, "ffn_cfg": _ffn(512)}},
    "positional_encoding": POSITION,
}
NARROW, WIDE = (64, 128, 256, 512), (96, 192, 384, 768)
SWIN = {
    "type": "SwinTransformer",
    "embed_dims": 96,
    "depths": [2, 2, 6, 2],
    "num_heads": [3, 6, 12, 24],
    "window_size": 7,
    "out_indices": (0, 1, 2, 3),
    "drop_path_rate": 0.0,
    "patch_norm": True,
    "convert_weights": False,
}
R18 = {**RESNET, "depth": 18, "out_indices": (0, 1, 2, 3)}
SEGMENTS = {
    "mask2former-resnet": (
        R18,
        _head("Mask2FormerHead", NARROW, DEFORMABLE, strides=[4, 8, 16, 32], num_transformer_feat_level=3),
    ),
    "mask2former-swin": (
        SWIN,
        _head("Mask2FormerHead", WIDE, DEFORMABLE, strides=[4, 8, 16, 32], num_transformer_feat_level=3),
    ),
    "maskformer-encoder": (R18, _head("MaskFormerHead", NARROW, ENCODER)),
    "maskformer": (SWIN, _head("MaskFormerHead", WIDE, {"type": "PixelDecoder"})),
}
OLDER_SEGMENTS = (
    (r"(transformer_decoder\..*)\.cross_attn\.", r"\1.attentions.CROSS."),
    (r"(transformer_decoder\..*)\.self_attn\.", r"\1.attentions.SELF."),
    (r"(pixel_decoder\..*)\.self_attn\.", r"\1.attentions.0."),
    (r"^(panoptic_head\..*)\.ffn\.", r"\1.ffns.0."),
)


@pytest.mark.parametrize("name", SEGMENTS)
def test_segments(tmp_path, name):
    backbone, head = SEGMENTS[name]
    build = peers.openmmlab("mmdet")
    torch.manual_seed(0)
    theirs = build(
        {
            "type": "Mask2Former" if "mask2" in name else "MaskFormer",
            "backbone": backbone,
            "panoptic_head": head,
            "panoptic_fusion_head": {
                "type": "MaskFormerFusionHead",
                "num_things_classes": 5,
                "num_stuff_classes": 2,
                "loss_panoptic": None,
            },
            "test_cfg": {"panoptic_on": True, "instance_on": False},
        }
    )
    theirs.init_weights()
    state = _shake(theirs).state_dict()
    config = "model = dict(panoptic_head=dict(num_things_classes=5, num_stuff_classes=2))"
    imported = import_checkpoint(_save(tmp_path / "a.pth", state, config))
    cross, own = ("0", "1") if "mask2" in name else ("1", "0")
    rules = (*OLDER_SEGMENTS, (r"\.CROSS\.", f".{cross}."), (r"\.SELF\.", f".{own}."))
    older = import_checkpoint(_save(tmp_path / "b.pth", _older(state, rules), config))
    images = _images((96, 128))
    with torch.no_grad():
        scores, masks = theirs.panoptic_head(theirs.extract_feat(images), _samples(images))
        for model in (imported.model, older.model):
            found = model.network(images)
            torch.testing.assert_close(found.class_logits, scores[-1], **CLOSE)
            torch.testing.assert_close(found.mask_logits, masks[-1], **CLOSE)
    assert scores[-1].std(1).min() > 1e-3
    plan, labels = imported.model.plan, imported.model.labels
    assert plan.task == "panoptic" and labels.names == NAMES
    assert [one.is_thing for one in labels.classes] == [True] * 5 + [False] * 2


@pytest.mark.parametrize("name", ["mask2former-resnet", "maskformer-encoder"])
def test_segments_of_mmsegmentation(tmp_path, name):
    backbone, head = SEGMENTS[name]
    peers.mmseg_models()
    build = peers.openmmlab("mmdet")
    parts = {
        "backbone": build(backbone),
        "decode_head": build({**head, "type": f"mmseg.{head['type']}", "num_classes": CLASSES}),
    }
    theirs = _shake(torch.nn.ModuleDict(parts))
    config = "model = dict(decode_head=dict(num_classes=7), test_cfg=dict(mode='whole'))"
    imported = import_checkpoint(_save(tmp_path / "a.pth", theirs.state_dict(), config))
    images = _images((96, 128))
    with torch.no_grad():
        scores, masks = theirs["decode_head"](theirs["backbone"](images), _samples(images))
        found = imported.model.network(images)
    torch.testing.assert_close(found.class_logits, scores[-1], **CLOSE)
    torch.testing.assert_close(found.mask_logits, masks[-1], **CLOSE)
    plan = imported.model.plan
    assert plan.task == "semantic" and imported.model.labels.names == NAMES
    assert plan.inference.resize.multiple == 32 and plan.inference.resize.shortest is None


POOL = "GlobalAveragePooling"


def _classifier(backbone, width, neck=POOL, head=None):
    head = head or {"type": "LinearClsHead", "in_channels": width}
    settings = {"type": "ImageClassifier", "backbone": backbone, "head": {**head, "num_classes": CLASSES}}
    if neck:
        settings["neck"] = {"type": neck}
    return peers.randomize(peers.openmmlab("mmpretrain")(settings))


MOBILE_HEAD = {
    "type": "StackedLinearClsHead",
    "in_channels": 576,
    "mid_channels": [1024],
    "act_cfg": {"type": "HSwish"},
}
CLASSIFIERS = {
    "resnet18": ({"type": "ResNet", "depth": 18}, 512),
    "resnet50d": ({"type": "ResNetV1d", "depth": 50}, 2048),
    "vit_tiny_patch16_224": (
        {
            "type": "VisionTransformer",
            "arch": {"embed_dims": 192, "num_layers": 12, "num_heads": 3, "feedforward_channels": 768},
            "patch_size": 16,
        },
        192,
        None,
        {"type": "VisionTransformerClsHead", "in_channels": 192},
    ),
    "swin_tiny_patch4_window7_224": ({"type": "SwinTransformer", "arch": "tiny", "img_size": 224}, 768),
    "convnext_tiny": ({"type": "ConvNeXt", "arch": "tiny"}, 768, None),
    "mobilenetv2_100": ({"type": "MobileNetV2", "widen_factor": 1.0}, 1280),
    "mobilenetv3_small_100": (
        {"type": "MobileNetV3", "arch": "small"},
        576,
        "GlobalAveragePooling",
        MOBILE_HEAD,
    ),
    "tf_efficientnet_b0": ({"type": "EfficientNet", "arch": "b0"}, 1280),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(tmp_path, name):
    theirs = _classifier(*CLASSIFIERS[name])
    if "net" in name:
        peers.settle(theirs, _images((96, 128)))
    config = f"data_preprocessor = dict(mean={list(MEAN)}, std={list(STD)}, to_rgb=True)"
    imported = import_checkpoint(_save(tmp_path / "a.pth", theirs.state_dict(), config))
    assert imported.model.plan.network.options == {"backbone": name}
    assert imported.model.plan.task == "classification" and imported.model.labels.names == NAMES
    for size in ((224, 224),) if name.startswith(("vit", "swin")) else SIZES:
        with torch.no_grad():
            expected, found = theirs(_images(size)), imported.model.network(_images(size)).logits
        assert expected.std(0).max() > 1e-2
        scale = max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found, expected, atol=1e-4 * scale, rtol=1e-4)


def test_a_classifier_for_bgr(tmp_path):
    theirs = _classifier({"type": "ConvNeXt", "arch": "tiny"}, 768, None)
    config = "data_preprocessor = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], to_rgb=False)"
    imported = import_checkpoint(_save(tmp_path / "a.pth", theirs.state_dict(), config))
    assert imported.model.plan.input.mean == MEAN
    with torch.no_grad():
        expected = theirs(_images((64, 64)))
        found = imported.model.network(_images((64, 64)).flip(1)).logits
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-4)


STAGES = {"type": "mmdet.ResNet", "num_stages": 4, "out_indices": (0, 1, 2, 3)}
DCN = {"type": "DCNv2", "deform_groups": 1, "fallback_on_stride": False}
DBNETS = {
    "dbnet-resnet18": ({"depth": 18}, (64, 128, 256, 512), None),
    "dbnet-deformable": (
        {"depth": 50, "dcn": DCN, "stage_with_dcn": (False, True, True, True)},
        (256, 512, 1024, 2048),
        None,
    ),
    "dbnetplusplus": ({"depth": 18}, (64, 128, 256, 512), {"attention_type": "ScaleChannelSpatial"}),
}


@pytest.mark.parametrize("name", DBNETS)
def test_dbnet(tmp_path, name, monkeypatch):
    backbone, widths, fusion = DBNETS[name]
    peers.openmmlab("mmdet")
    theirs = peers.randomize(
        peers.openmmlab("mmocr")(
            {
                "type": "DBNet",
                "backbone": {
                    "type": "mmdet.ResNet",
                    "num_stages": 4,
                    "out_indices": (0, 1, 2, 3),
                    **backbone,
                },
                "neck": {
                    "type": "FPNC",
                    "in_channels": list(widths),
                    "lateral_channels": 256,
                    "asf_cfg": fusion,
                },
                "det_head": {"type": "DBHead", "in_channels": 256},
            }
        )
    )
    if "dcn" in backbone:
        _compute_deformable(monkeypatch)
    imported = import_checkpoint(_save(tmp_path / "a.pth", theirs.state_dict(), meta={}))
    with torch.no_grad():
        expected = theirs.det_head(theirs.neck(theirs.backbone(_images((96, 128)))))
        found = imported.model.network(_images((96, 128))).logits.sigmoid()[:, 0]
    assert expected.std() > 1e-2
    torch.testing.assert_close(found, expected, **CLOSE)
    assert imported.model.plan.task == "text-detection" and imported.model.labels.names == ("text",)


def _compute_deformable(monkeypatch):
    """Replace mmcv's compiled operator by torchvision's, which is the same."""
    ops = pytest.importorskip("torchvision.ops")
    module = pytest.importorskip("mmcv.ops.modulated_deform_conv")

    def convolve(x, offset, mask, weight, bias, stride, padding, dilation, _groups, _deform_groups):
        return ops.deform_conv2d(x, offset, weight, bias, stride, padding, dilation, mask)

    monkeypatch.setattr(module, "modulated_deform_conv2d", convolve)
