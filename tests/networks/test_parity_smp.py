"""The same weights give the same scores as segmentation-models-pytorch."""

import pytest
import torch

from limner.networks import build_network
from limner.weights.renaming import rename
from limner.weights.sources.pixels.smp_names import smp_naming

pytestmark = pytest.mark.peer

UNET, DEEPLAB = (smp_naming(kind, wrapped=False) for kind in ("Unet", "DeepLabV3Plus"))


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
    ours.load_state_dict(rename(theirs.state_dict(), UNET).tensors)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images).logits, theirs(images), atol=1e-4, rtol=1e-4)


def test_unet_gradients_equal_smps(smp, randomize):
    theirs = randomize(smp.Unet("resnet18", encoder_weights=None, classes=2)).train()
    ours = build_network("encoder-unet", num_classes=2, backbone="resnet18")
    ours.load_state_dict(rename(theirs.state_dict(), UNET).tensors)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))

    ours.train()(images).logits.square().mean().backward()
    theirs(images).square().mean().backward()

    expected = rename({name: p.grad for name, p in theirs.named_parameters()}, UNET).tensors
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
    ours.load_state_dict(rename(theirs.state_dict(), DEEPLAB).tensors)
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        features = theirs.encoder(images)
        expected = theirs.segmentation_head[0](theirs.decoder(features))  # before its upsampling
        torch.testing.assert_close(ours.eval()(images).logits, expected, atol=1e-4, rtol=1e-4)
