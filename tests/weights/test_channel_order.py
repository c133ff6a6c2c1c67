"""Networks for BGR become networks for RGB, and others are refused unchanged."""

import pytest
import torch

from limner.core.errors import ModelError
from limner.networks import build_network
from limner.weights import import_checkpoint
from limner.weights.channel_order import is_reversible, reverse_input

SMALL = {"widths": (4, 6, 8)}
NETWORKS = {
    "unet": SMALL,
    "bisenetv1": {"backbone": "resnet18"},  # reads the image twice
    "segformer": {"backbone": "mit_b0"},
    "classifier": {"backbone": "resnet18"},
}


def _built(name, options):
    torch.manual_seed(0)
    return build_network(name, num_classes=3, **options).eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_reversed_network_gives_the_scores_of_reversed_images(name):
    network = _built(name, NETWORKS[name])
    images = torch.randn(1, 3, 75, 99, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = network(images.flip(1)).logits
        changed = reverse_input(network, "model.pth")
        torch.testing.assert_close(network(images).logits, expected, atol=1e-5, rtol=1e-4)
        assert len(changed) == (2 if name == "bisenetv1" else 1)
        assert is_reversible(network)
        torch.testing.assert_close(network(images).logits, expected, atol=1e-5, rtol=1e-4)


REFUSED = {
    "enet": {},  # its first layer joins the pooled image with a convolution of it
    "unet": {"in_channels": 4, **SMALL},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_reversed_is_refused_and_stays_as_it_is(name):
    network = _built(name, REFUSED[name])
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    assert not is_reversible(network)
    with pytest.raises(ModelError, match="channels of this network cannot be reversed[\\s\\S]*a.pth"):
        reverse_input(network, "a.pth")
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in before.items())


def test_the_order_of_the_training_can_be_set(tmp_path):
    network = _built("unet", SMALL)
    torch.save({f"layer_{i}": t for i, t in enumerate(network.state_dict().values())}, tmp_path / "a.pth")
    settings = {"network": {"options": SMALL}, "checkpoint": {"channel_order": "bgr"}}
    imported = import_checkpoint(tmp_path / "a.pth", network="unet", settings=settings)
    images = torch.randn(1, 3, 40, 52)
    with torch.no_grad():
        torch.testing.assert_close(
            imported.model.network(images).logits, network(images.flip(1)).logits, atol=1e-5, rtol=1e-4
        )
    assert imported.facts["channel order"] == "BGR (you set it)"
    assert imported.tensors.reshaped == {"layer_0": "BGR to RGB"}
    assert "layer_0" not in {*imported.tensors.used, *imported.tensors.renamed}
    assert imported.origin["channel order"] == "BGR (you set it)"


def test_an_order_that_was_inferred_stays(tmp_path):
    network = _built("unet", SMALL)
    torch.save(network.state_dict(), tmp_path / "a.pth")
    settings = {"network": {"options": SMALL}, "checkpoint": {"channel_order": "rgb"}}
    imported = import_checkpoint(tmp_path / "a.pth", network="unet", settings=settings)
    assert not imported.tensors.reshaped
