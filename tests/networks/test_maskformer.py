import pytest
import torch

from limner.core.errors import ConfigError
from limner.losses.segment_set import SegmentSetLoss
from limner.networks import NETWORKS, build_network

SMALL = {
    "backbone": "resnet18_width16",
    "channels": 32,
    "heads": 4,
    "feedforward": 16,
    "decoder_layers": 3,
}


@pytest.fixture
def images():
    return torch.randn(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))


def test_every_decoder_layer_but_the_last_is_a_side_output(images):
    outputs = build_network("maskformer", num_classes=3, num_queries=5, **SMALL).train()(images)
    assert len(outputs.auxiliary) == 2
    for layer in (outputs, *outputs.auxiliary):
        assert layer.class_logits.shape == (2, 5, 4)
        assert layer.mask_logits.shape == (2, 5, 12, 16)
        assert layer.features is outputs.features


def test_its_loss_is_one_that_exists():
    loss = SegmentSetLoss(**NETWORKS["maskformer"].loss)
    assert (loss.weights.class_, loss.weights.mask, loss.weights.dice) == (1, 20, 1)
    assert loss.weights.focal
    assert loss.no_object_weight == 0.1


def test_pixels_look_at_each_other_only_in_the_panoptic_form(images):
    def reach(pixel_layers):
        torch.manual_seed(0)
        network = build_network("maskformer", num_classes=3, **SMALL, pixel_layers=pixel_layers).eval()
        top = network.maps(images)[-1].detach().requires_grad_()
        encoded = top if network.pixel_encoder is None else network.pixel_encoder(top)
        encoded[0, 0, 0, 0].backward()
        return int((top.grad[0].abs().sum(0) > 0).sum())

    assert reach(0) == 1
    assert reach(1) == 4  # all of the 2 x 2


def test_the_baselines_score_pixels(images):
    plus = build_network("per-pixel", num_classes=3, **SMALL).train()(images)
    assert plus.logits.shape == (2, 3, 12, 16)
    assert [(side.logits.shape, side.weight) for side in plus.auxiliary] == [((2, 3, 12, 16), 1.0)] * 2
    plain = build_network("per-pixel", num_classes=3, **SMALL | {"decoder_layers": 0}).train()(images)
    assert plain.logits.shape == (2, 3, 12, 16)
    assert plain.auxiliary == ()


@pytest.mark.parametrize("name", ["maskformer", "per-pixel"])
def test_heads_that_cannot_share_the_channels(name):
    with pytest.raises(ConfigError, match=f"{name}: 32 channels are not divisible by 3 heads"):
        build_network(name, num_classes=3, **SMALL | {"heads": 3})
