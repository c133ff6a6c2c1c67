import pytest
import torch
import torch.nn.functional as F

from limner.core.errors import ConfigError
from limner.layers.norm import FrozenBatchNorm2d
from limner.layers.resize import resize
from limner.networks import build_network
from limner.networks.mask2former import attention_mask

SMALL = {
    "backbone": "resnet18_width16",
    "channels": 16,
    "heads": 4,
    "num_queries": 5,
    "pixel_layers": 1,
    "decoder_layers": 2,
}


def test_areas_in_sight_are_those_of_the_masks_scaled_to_the_level():
    draws = torch.Generator().manual_seed(0)
    embeddings = torch.randn(2, 6, 4, generator=draws, dtype=torch.float64)
    features = torch.randn(2, 4, 16, 12, generator=draws, dtype=torch.float64)
    embeddings[0, 0], features[:, 0] = torch.tensor([-9.0, 0, 0, 0]), features[:, 0].abs() + 1
    masks = torch.einsum("bqc,bchw->bqhw", embeddings, features)
    blocked = F.interpolate(masks, (4, 3), mode="bilinear", align_corners=False).sigmoid().flatten(2) < 0.5
    blocked[blocked.all(-1)] = False
    assert (blocked[0, 0] == False).all()  # noqa: E712 - would see nothing, so sees everything
    found = attention_mask(embeddings, resize(features, (4, 3)).flatten(2))
    assert torch.equal(found, ~blocked)


def test_each_layer_is_supervised_from_the_first_queries_on():
    network = build_network("mask2former", num_classes=3, **SMALL).train()
    outputs = network(torch.randn(2, 3, 48, 64))
    assert len(outputs.auxiliary) == 2
    for layer in (outputs, *outputs.auxiliary):
        assert layer.class_logits.shape == (2, 5, 4)
        assert layer.mask_logits.shape == (2, 5, 12, 16)
        assert layer.features is outputs.features
    first, second = (layer.class_logits for layer in outputs.auxiliary)
    torch.testing.assert_close(first[0], first[1])  # learned queries have not seen the image yet
    assert not torch.allclose(second[0], second[1])


def test_a_frozen_encoder_keeps_its_statistics():
    network = build_network("mask2former", num_classes=3, backbone_norm="frozen", **SMALL).train()
    norms = [module for module in network.modules() if isinstance(module, FrozenBatchNorm2d)]
    assert len(norms) == 20
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.backbone.modules())
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    outputs = network(torch.randn(1, 3, 64, 64))
    outputs.mask_logits.square().mean().backward()
    assert all(torch.equal(before[name], buffer) for name, buffer in network.named_buffers())
    assert all(norm.weight.any() for norm in norms)  # no residual block is shut for ever


def test_a_backbone_without_the_four_strides():
    with pytest.raises(ConfigError, match="strides 4, 8, 16 and 32"):
        build_network("mask2former", num_classes=3, backbone="vit_tiny_patch16_224")


def test_heads_that_cannot_share_the_channels():
    with pytest.raises(ConfigError, match="16 channels are not divisible by 3 heads"):
        build_network("mask2former", num_classes=3, **SMALL | {"heads": 3})
