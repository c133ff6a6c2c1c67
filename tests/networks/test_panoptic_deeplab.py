import pytest
import torch

from limner.networks import build_network
from limner.networks.weightless import weightless

CLASSES = 19


def block(inputs: int, outputs: int, kernel: int = 1) -> int:
    """Parameters of a convolution with the scale and shift of a norm."""
    return inputs * outputs * kernel**2 + 2 * outputs


def separable(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * kernel**2 + 2 * inputs + block(inputs, outputs)


def decoder(deep: int, skips: tuple[int, int], projected: tuple[int, int], channels: int) -> int:
    """An atrous pyramid of 256 channels with five branches, and two fusions of 5x5."""
    branches = 2 * block(deep, 256) + 3 * separable(deep, 256, 3) + block(5 * 256, 256)
    projections = sum(block(*pair) for pair in zip(skips, projected, strict=True))
    return (
        branches
        + projections
        + separable(256 + projected[0], channels, 5)
        + separable(channels + projected[1], channels, 5)
    )


def head(inputs: int, channels: int, outputs: int) -> int:
    return separable(inputs, channels, 5) + channels * outputs + outputs


@pytest.mark.parametrize(
    ("backbone", "deep", "skips"), [("resnet18", 512, (128, 64)), ("resnet50c", 2048, (512, 256))]
)
def test_parameters_are_those_of_the_papers_layers(backbone, deep, skips):
    with weightless():
        network = build_network("panoptic-deeplab", num_classes=CLASSES, backbone=backbone)
    count = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("backbone."))
    assert count == (
        decoder(deep, skips, (64, 32), 256)
        + decoder(deep, skips, (32, 16), 128)
        + head(256, 256, CLASSES + 1)
        + head(128, 32, 1)
        + head(128, 32, 2)
    )


def test_everything_is_predicted_at_a_quarter_of_the_size():
    network = build_network("panoptic-deeplab", num_classes=3, backbone="resnet18_width16").eval()
    with torch.inference_mode():
        outputs = network(torch.zeros(1, 3, 65, 96))
    assert outputs.class_logits.shape == (1, 4, 17, 24)
    assert outputs.centres.shape == (1, 1, 17, 24)
    assert outputs.offsets.shape == (1, 2, 17, 24)
