import pytest
import timm
import torch

from limner.networks import build_network
from limner.networks.backbones import build_backbone
from limner.networks.backbones.hrnet import HRNETS, HRNet, HRNetShape, published_name
from limner.networks.weightless import weightless

TINY = HRNetShape(4, (1, 1, 1), 1)


@pytest.mark.parametrize("size", [(64, 96), (33, 70)])
def test_takes_any_size(size):
    backbone = HRNet(TINY).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 3, *size))
    for features, channels, stride in zip(maps, backbone.channels, backbone.strides, strict=True):
        assert features.shape == (1, channels, *(-(-length // stride) for length in size))


@pytest.mark.parametrize("name", ["hrnetv2_w18", "hrnetv2_w18_small"])
def test_tensors_are_named_and_shaped_as_in_timm(name):
    with weightless():
        ours, theirs = build_backbone(name).state_dict(), timm.create_model(published_name(name)).state_dict()
    shapes = {key: tensor.shape for key, tensor in theirs.items()}
    assert all(shapes.get(key) == tensor.shape for key, tensor in ours.items())
    # What remains is the classifier on top of the branches.
    others = {key.split(".")[0] for key in theirs.keys() - ours.keys()}
    assert others == {"incre_modules", "downsamp_modules", "final_layer", "classifier"}


def test_every_one_has_published_weights():
    assert all(timm.is_model_pretrained(published_name(name)) for name in HRNETS)


def test_all_weights_are_reached_by_an_fcn_on_all_branches(monkeypatch):
    monkeypatch.setitem(HRNETS, "hrnet_tiny", TINY)
    options = {"output_stride": 32, "joins_maps": True, "joins_input": False, "auxiliary": False}
    network = build_network("fcn", num_classes=2, backbone="hrnet_tiny", **options)
    assert network.channels == 4 + 8 + 16 + 32
    logits = network.train()(torch.randn(2, 3, 47, 65)).logits
    assert logits.shape == (2, 2, 12, 17)
    logits.square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())
