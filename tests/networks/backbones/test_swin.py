import pytest
import timm
import torch
from torch import nn

from limner.exporting.writing import trace
from limner.networks import build_network
from limner.networks.backbones import build_backbone
from limner.networks.backbones.pretrained import load_pretrained
from limner.networks.backbones.swin import Swin, SwinShape

NAME = "swin_tiny_patch4_window7_224"


@pytest.mark.parametrize("name", [NAME, "swinv2_tiny_window8_256"])
@pytest.mark.parametrize("size", [(64, 96), (33, 70)])
def test_takes_any_size(name, size):
    backbone = build_backbone(name).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, *size))
    for features, channels, stride in zip(maps, backbone.channels, backbone.strides, strict=True):
        assert features.shape == (1, channels, *(-(-length // stride) for length in size))


def test_timms_weights_give_timms_maps_where_windows_divide_them(tmp_path):
    theirs = timm.create_model(NAME, features_only=True, always_partition=True).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = build_backbone(NAME).eval()
    load_pretrained(ours, NAME, tmp_path / "weights.pth", in_channels=3)
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        for found, expected in zip(ours(image), theirs(image), strict=True):
            torch.testing.assert_close(found, expected.permute(0, 3, 1, 2), atol=1e-4, rtol=1e-4)


def test_opposite_borders_never_meet_in_a_window():
    # 13 rows of patches in windows of 7. The last row meets rows 7 to 12 in the first block, and 10 to 12 in
    # the second, whose windows have moved by 3 and also hold rows 0 to 2, come round from the other end.
    torch.manual_seed(0)
    swin = Swin(SwinShape(8, (2, 1, 1, 1), (2, 2, 2, 2))).eval()
    image = torch.randn(1, 3, 4 * 13, 4 * 13, requires_grad=True)
    swin(image)[0][:, :, -1].square().sum().backward()
    reached = image.grad.abs().sum(dim=(0, 1, 3)) > 1e-20
    assert not reached[: 4 * 7].any()
    assert reached[4 * 7 :].all()


def test_upernet_stands_on_swin():
    network = build_network("upernet", num_classes=2, backbone=NAME, norm_features=True, channels=8)
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight)
    outputs = network.train()(torch.randn(1, 3, 47, 65))
    outputs.logits.square().mean().backward()
    assert outputs.logits.shape == (1, 2, 12, 17)
    assert all(p.grad is not None for name, p in network.named_parameters() if "auxiliary" not in name)


def test_upernet_on_swin_exports():
    network = build_network("upernet", num_classes=2, backbone=NAME, channels=8).eval()
    image = torch.randn(1, 3, 47, 65)
    program = trace(network, image, is_free=False)
    with torch.no_grad():
        torch.testing.assert_close(program.module()(image).logits, network(image).logits)
