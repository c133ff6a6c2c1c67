"""The same weights give the same scores as the BiSeNets of mmsegmentation 1.2.2."""

import re

import pytest
import torch

from limner.networks import build_network

pytestmark = pytest.mark.peer

NORM = {"type": "BN"}
# From mmsegmentation's names to ours: (pattern, replacement), applied in turn.
HEADS = [
    (r"^decode_head\.", "head."),
    (r"\.conv_seg\.", ".classifier.conv."),
    (r"^((?!backbone\.).*)\.bn\.", r"\1.norm."),
]
V1 = [
    (r"^net\.context_path\.backbone\.", "backbone."),
    (r"^net\.context_path\.arm(\d+)\.conv_layer\.", r"refine\1.conv."),
    (r"^net\.context_path\.arm(\d+)\.atten_conv_layer\.1\.", r"refine\1.gate."),
    (r"^net\.context_path\.conv_head(\d+)\.", r"smooth\1."),
    (r"^net\.context_path\.gap_conv\.1\.", "image_mean."),
    (r"^net\.spatial_path\.layer1\.", "spatial.0."),
    (r"^net\.spatial_path\.layer2\.", "spatial.1."),
    (r"^net\.spatial_path\.layer3\.", "spatial.2."),
    (r"^net\.spatial_path\.layer4\.", "spatial.3."),
    (r"^net\.ffm\.conv1\.", "join."),
    (r"^net\.ffm\.conv_atten\.0\.", "gate."),
    (r"^side\.", "auxiliary_heads."),
]
V2 = [
    (r"^net\.detail\.detail_branch\.0\.", "detail."),
    (r"^net\.detail\.detail_branch\.1\.0\.", "detail.2."),
    (r"^net\.detail\.detail_branch\.1\.1\.", "detail.3."),
    (r"^net\.detail\.detail_branch\.1\.2\.", "detail.4."),
    (r"^net\.detail\.detail_branch\.2\.0\.", "detail.5."),
    (r"^net\.detail\.detail_branch\.2\.1\.", "detail.6."),
    (r"^net\.detail\.detail_branch\.2\.2\.", "detail.7."),
    (r"^net\.semantic\.stage1\.conv_first\.", "stem.first."),
    (r"^net\.semantic\.stage1\.fuse_last\.", "stem.fuse."),
    (r"^net\.semantic\.stage1\.", "stem."),
    (r"^net\.semantic\.stage4_CEBlock\.gap\.1\.", "context.norm."),
    (r"^net\.semantic\.stage4_CEBlock\.conv_gap\.", "context.embed."),
    (r"^net\.semantic\.stage4_CEBlock\.conv_last\.", "context.last."),
    (r"^net\.semantic\.stage2\.", "stages.0."),
    (r"^net\.semantic\.stage3\.", "stages.1."),
    (r"^net\.semantic\.stage4\.", "stages.2."),
    (r"^(stages\.\d\.\d)\.conv1\.", r"\1.gather."),
    (r"^(stages\.\d\.\d)\.dwconv\.", r"\1.expand."),
    (r"^(stages\.\d\.\d)\.conv2\.0\.", r"\1.project."),
    (r"\.shortcut\.0\.depthwise_conv\.", ".shortcut.0."),
    (r"\.shortcut\.0\.pointwise_conv\.", ".shortcut.1."),
    (r"^net\.bga\.detail_dwconv\.0\.", "aggregation.detail_fine."),
    (r"^net\.bga\.detail_down\.", "aggregation.detail_coarse."),
    (r"^net\.bga\.semantic_conv\.0\.", "aggregation.semantic_fine."),
    (r"^net\.bga\.semantic_dwconv\.0\.", "aggregation.semantic_coarse."),
    (r"^net\.bga\.conv\.", "aggregation.fuse."),
    (r"_(fine|coarse)\.depthwise_conv\.", r"_\1.0."),
    (r"_(fine|coarse)\.pointwise_conv\.conv\.", r"_\1.1."),
    (r"^side\.", "boosters."),
]


def head(in_channels, channels, index, num_convs=1):
    return {
        "type": "FCNHead",
        "in_channels": in_channels,
        "channels": channels,
        "in_index": index,
        "num_convs": num_convs,
        "concat_input": False,
        "dropout_ratio": 0.1,
        "num_classes": 19,
        "norm_cfg": NORM,
    }


def bisenetv1(depth, scale):
    backbone = {"type": "ResNet", "depth": depth, "norm_cfg": NORM}
    net = {
        "type": "BiSeNetV1",
        "backbone_cfg": backbone,
        "context_channels": (128 * scale, 256 * scale, 512 * scale),
        "spatial_channels": (64 * scale, 64 * scale, 64 * scale, 128 * scale),
        "out_channels": 256 * scale,
        "norm_cfg": NORM,
    }
    sides = [head(128 * scale, 64 * scale, index) for index in (1, 2)]
    return net, head(256 * scale, 256 * scale, 0), sides


def bisenetv2():
    widths = ((16, 16), (32, 64), (64, 256), (128, 1024))
    sides = [head(width, channels, i, num_convs=2) for i, (width, channels) in enumerate(widths, 1)]
    return {"type": "BiSeNetV2", "norm_cfg": NORM}, head(128, 1024, 0), sides


@pytest.mark.parametrize(
    ("name", "options", "theirs", "rename"),
    [
        ("bisenetv1", {}, bisenetv1(18, 1), V1),
        ("bisenetv1", {"backbone": "resnet50"}, bisenetv1(50, 4), V1),
        ("bisenetv2", {"layout": "mmsegmentation"}, bisenetv2(), V2),
    ],
)
def test_scores_equal_mmsegmentations(mmseg_models, randomize, name, options, theirs, rename):
    net, main, sides = theirs
    theirs = torch.nn.ModuleDict(
        {
            "net": mmseg_models.BACKBONES.build(net),
            "decode_head": mmseg_models.HEADS.build(main),
            "side": torch.nn.ModuleList(mmseg_models.HEADS.build(side) for side in sides),
        }
    )
    randomize(theirs)
    ours = build_network(name, num_classes=19, **options).eval()
    ours.load_state_dict(renamed(theirs.state_dict(), [*rename, *HEADS]))
    images = torch.randn(2, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = theirs["net"](images)
        torch.testing.assert_close(ours(images).logits, theirs["decode_head"](features), atol=1e-4, rtol=1e-4)
        expected = [side(features) for side in theirs["side"]]
        ours.training = True  # auxiliary outputs, and nothing else of training
        for found, wanted in zip(ours(images).auxiliary, expected, strict=True):
            torch.testing.assert_close(found.logits, wanted, atol=1e-4, rtol=1e-4)


def renamed(state, pairs):
    names = {}
    for key, value in state.items():
        for pattern, replacement in pairs:
            key = re.sub(pattern, replacement, key)
        names[key] = value
    return names
