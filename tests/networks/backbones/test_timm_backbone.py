import pytest
import torch

from limner.networks import build_network
from limner.networks.backbones import build_backbone


@pytest.mark.parametrize("size", [(224, 224), (64, 96), (33, 70)])
def test_swin_takes_any_size(size):
    backbone = build_backbone("swin_tiny_patch4_window7_224").eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, *size))
    for features, channels, stride in zip(maps, backbone.channels, backbone.strides, strict=True):
        assert features.shape == (1, channels, *(-(-length // stride) for length in size))


def test_upernet_stands_on_swin():
    network = build_network(
        "upernet", num_classes=2, backbone="swin_tiny_patch4_window7_224", norm_features=True, channels=8
    )
    outputs = network.train()(torch.randn(1, 3, 47, 65))
    outputs.logits.square().mean().backward()
    assert outputs.logits.shape == (1, 2, 12, 17)
    assert all(p.grad is not None for name, p in network.named_parameters() if "auxiliary" not in name)
