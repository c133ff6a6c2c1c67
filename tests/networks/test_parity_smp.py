"""The same weights give the same scores as segmentation-models-pytorch."""

import re

import pytest
import torch

from limner.networks import build_network

pytestmark = pytest.mark.peer

UNET = [
    (r"^encoder\.", "backbone."),
    (r"^decoder\.blocks\.(\d)\.(conv\d)\.0\.", r"decoder.\1.\2.conv."),
    (r"^decoder\.blocks\.(\d)\.(conv\d)\.1\.", r"decoder.\1.\2.norm."),
    (r"^segmentation_head\.0\.", "head.conv."),
]
DEEPLAB = [
    (r"^encoder\.", "backbone."),
    (r"^decoder\.aspp\.0\.convs\.4\.1\.", "context.0.image_branch.conv."),
    (r"^decoder\.aspp\.0\.convs\.4\.2\.", "context.0.image_branch.norm."),
    (r"^decoder\.aspp\.0\.convs\.(\d)\.0\.0\.", r"context.0.branches.\1.depthwise.conv."),
    (r"^decoder\.aspp\.0\.convs\.(\d)\.0\.1\.", r"context.0.branches.\1.pointwise.conv."),
    (r"^decoder\.aspp\.0\.convs\.0\.0\.", "context.0.branches.0.conv."),
    (r"^decoder\.aspp\.0\.convs\.0\.1\.", "context.0.branches.0.norm."),
    (r"^decoder\.aspp\.0\.convs\.(\d)\.1\.", r"context.0.branches.\1.pointwise.norm."),
    (r"^decoder\.aspp\.0\.project\.0\.", "context.0.projection.conv."),
    (r"^decoder\.aspp\.0\.project\.1\.", "context.0.projection.norm."),
    (r"^decoder\.aspp\.1\.0\.", "context.1.depthwise.conv."),
    (r"^decoder\.aspp\.1\.1\.", "context.1.pointwise.conv."),
    (r"^decoder\.aspp\.2\.", "context.1.pointwise.norm."),
    (r"^decoder\.block1\.0\.", "low_level.conv."),
    (r"^decoder\.block1\.1\.", "low_level.norm."),
    (r"^decoder\.block2\.0\.0\.", "decoder.0.depthwise.conv."),
    (r"^decoder\.block2\.0\.1\.", "decoder.0.pointwise.conv."),
    (r"^decoder\.block2\.1\.", "decoder.0.pointwise.norm."),
    (r"^segmentation_head\.0\.", "head.conv."),
]


@pytest.fixture(scope="module")
def smp():
    return pytest.importorskip(
        "segmentation_models_pytorch", reason="segmentation-models-pytorch is not installed"
    )


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("size", [(64, 96), (65, 47)])
def test_unet_equals_smps(smp, randomize, backbone, size):
    theirs = randomize(smp.Unet(backbone, encoder_weights=None, classes=5))
    ours = build_network("encoder-unet", num_classes=5, backbone=backbone)
    ours.load_state_dict(_rename(theirs.state_dict(), UNET))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images).logits, theirs(images), atol=1e-4, rtol=1e-4)


def test_unet_gradients_equal_smps(smp, randomize):
    theirs = randomize(smp.Unet("resnet18", encoder_weights=None, classes=2)).train()
    ours = build_network("encoder-unet", num_classes=2, backbone="resnet18")
    ours.load_state_dict(_rename(theirs.state_dict(), UNET))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))

    ours.train()(images).logits.square().mean().backward()
    theirs(images).square().mean().backward()

    expected = _rename({name: p.grad for name, p in theirs.named_parameters()}, UNET)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], atol=2e-4, rtol=1e-2, msg=name)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_deeplabv3plus_equals_smps(smp, randomize, backbone, output_stride):
    theirs = randomize(
        smp.DeepLabV3Plus(backbone, encoder_weights=None, classes=5, encoder_output_stride=output_stride)
    )
    ours = build_network(
        "deeplabv3plus",
        num_classes=5,
        backbone=backbone,
        output_stride=output_stride,
        dilation="uniform",
        atrous_rates=(12, 24, 36),
        layout="segmentation-models-pytorch",
        auxiliary=False,
    )
    ours.load_state_dict(_rename(theirs.state_dict(), DEEPLAB))
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        features = theirs.encoder(images)
        expected = theirs.segmentation_head[0](theirs.decoder(features))  # before its upsampling
        torch.testing.assert_close(ours.eval()(images).logits, expected, atol=1e-4, rtol=1e-4)


def _rename(state, table):
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in table:
            key, found = re.subn(pattern, replacement, key)
            if found:
                break
        renamed[key] = value
    return renamed
