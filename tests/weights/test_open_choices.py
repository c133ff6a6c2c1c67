"""What a checkpoint leaves open, and how else it can be read."""

import pytest
import torch

from limner.core.errors import ConfigError, ModelError
from limner.networks import build_network
from limner.weights import import_checkpoint
from limner.weights.checkpoint_files import read_checkpoint

SMALL = {"widths": (4, 6, 8)}
OPTIONS = {"network": {"options": SMALL}}


@pytest.fixture
def network():
    """A small U-Net of three classes."""
    torch.manual_seed(0)
    return build_network("unet", num_classes=3, **SMALL).eval()


@pytest.fixture
def importing(tmp_path, network):
    """Imports this U-Net with further settings."""
    torch.save(network.state_dict(), tmp_path / "model.pth")

    def do(**settings):
        return import_checkpoint(tmp_path / "model.pth", network="unet", settings=OPTIONS | settings)

    return do


def _images(size=(40, 52)):
    return torch.randint(0, 256, (1, 3, *size), generator=torch.Generator().manual_seed(1)).float()


def test_a_state_dict_leaves_open_what_no_tensor_shows(importing):
    choices = {choice.topic: choice for choice in importing().open_choices}
    assert choices["normalisation"].taken == "ImageNet's mean and standard deviation"
    assert [one.command for one in choices["normalisation"].others] == [
        "--set input.mean=[0,0,0] --set input.std=[255,255,255]",
        "--set input.mean=[127.5,127.5,127.5] --set input.std=[127.5,127.5,127.5]",
        "--set input.mean=[0,0,0] --set input.std=[1,1,1]",
    ]
    order = choices["channel order"]
    assert order.taken == "RGB" and order.others[0].command == "--set checkpoint.channel_order=bgr"
    assert choices["background"].others[0].command == "--set checkpoint.background=true"
    activations = [one.words for one in choices["activation"].others]
    assert "leaky_relu" in activations and "prelu" not in activations  # has a tensor of its own
    # Other options have other tensors, or the same scores.
    assert not {"widths", "upsampling", "mirror input", "auxiliary"} & choices.keys()


def test_what_is_set_is_no_longer_open(importing):
    values = {"mean": [0, 0, 0], "std": [255, 255, 255]}
    how = {"channel_order": "rgb", "background": False}
    options = {**SMALL, "activation": "relu"}
    imported = importing(input=values, checkpoint=how, network={"options": options})
    topics = {choice.topic for choice in imported.open_choices}
    assert not {"normalisation", "channel order", "background", "activation"} & topics
    assert imported.facts["normalisation"] == ("mean (0.0, 0.0, 0.0), std (255.0, 255.0, 255.0) (you set it)")


def test_each_reading_predicts_otherwise(importing, tmp_path):
    imported, content = importing(), read_checkpoint(tmp_path / "model.pth")
    with torch.no_grad():
        taken = imported.model(_images()).logits
        for choice in imported.open_choices:
            for reading in choice.others:
                found = imported.reread(reading, content).model(_images()).logits
                assert found.shape != taken.shape or not torch.allclose(found, taken, atol=1e-4), reading
        assert torch.equal(imported.model(_images()).logits, taken)


def test_a_sigmoid_for_each_class_leaves_the_rest_to_the_background(importing, network):
    imported = importing(checkpoint={"background": True})
    with torch.no_grad():
        scores = network((_images() - 127.5) / 127.5).logits
        found = imported.model.network((_images() - 127.5) / 127.5).logits.argmax(1)
    expected = torch.where(scores.sigmoid().amax(1) > 0.5, scores.argmax(1) + 1, 0)
    assert 0 < (expected == 0).float().mean() < 1
    assert torch.equal(found, expected)
    labels = imported.model.labels
    assert labels.names == ("background", "class_0", "class_1", "class_2")
    assert [one.values for one in labels.classes] == [(0,), (1,), (2,), (3,)]
    assert any("no class has a positive score" in how for how in imported.tensors.reshaped.values())


def test_a_background_needs_separate_scores(tmp_path):
    torch.save(build_network("espnet", num_classes=3).state_dict(), tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth", network="espnet")
    assert "background" not in {choice.topic for choice in imported.open_choices}
    with pytest.raises(ModelError, match="cannot become one with a background[\\s\\S]*which mix classes"):
        import_checkpoint(tmp_path / "a.pth", network="espnet", settings={"checkpoint": {"background": True}})


def test_a_wrong_setting_of_the_reading_is_named(importing):
    with pytest.raises(ConfigError, match="--set checkpoint has invalid settings"):
        importing(checkpoint={"channel_oder": "bgr"})
    with pytest.raises(ConfigError, match="channel_order"):
        importing(checkpoint={"channel_order": "gbr"})


def test_a_network_whose_scores_are_of_a_transposed_convolution_is_found(tmp_path):
    network = build_network("enet", num_classes=5)
    torch.save(network.state_dict(), tmp_path / "a.pth")
    assert import_checkpoint(tmp_path / "a.pth", network="enet").model.labels.num_classes == 5
