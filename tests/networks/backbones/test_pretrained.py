"""Pretrained weights: found, not found, damaged. The hub is always a stand-in: tests need no network."""

import logging
import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from limner.core.errors import ConfigError, ModelError
from limner.networks import build_network
from limner.networks.backbones import build_backbone, pretrained
from limner.networks.backbones.pretrained import adapt_input_channels


@pytest.fixture
def published(monkeypatch):
    """Weights of resnet18 as the hub would give them, with the classifier that a backbone lacks."""
    torch.manual_seed(5)
    state = build_backbone("resnet18").state_dict()
    state |= {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    monkeypatch.setattr(pretrained, "fetch_from_hub", lambda _name: dict(state))
    return state


@pytest.fixture
def offline(monkeypatch):
    def refuse(_name):
        raise ConnectionError("Name or service not known\nand a long story")

    monkeypatch.setattr(pretrained, "fetch_from_hub", refuse)


@pytest.mark.parametrize("wanted", [True, "yes", "auto"])
def test_weights_from_the_hub(published, wanted):
    backbone = build_network("encoder-unet", num_classes=2, backbone="resnet18", pretrained=wanted).backbone
    assert all(torch.equal(value, published[key]) for key, value in backbone.state_dict().items())


@pytest.mark.parametrize("wanted", [False, "no"])
def test_none_are_fetched_unasked(monkeypatch, wanted):
    fetched = []
    monkeypatch.setattr(pretrained, "fetch_from_hub", fetched.append)
    backbone = build_backbone("resnet18", pretrained=wanted)
    assert fetched == [] and backbone.conv1.weight.std() > 0


def test_auto_without_the_hub_says_so_in_one_line_and_starts_from_scratch(offline, caplog):
    with caplog.at_level(logging.WARNING, logger="limner"):
        backbone = build_backbone("resnet18", pretrained="auto")
    (message,) = [record.getMessage() for record in caplog.records]
    assert "weights of resnet18 are unavailable (Name or service not known)" in message
    assert "starts from scratch" in message
    assert "\n" not in message
    assert backbone.conv1.weight.std() > 0


def test_yes_without_the_hub_says_what_to_do(offline):
    with pytest.raises(ConfigError, match=r"(?s)weights of resnet18 are unavailable.*Connect to huggingface"):
        build_backbone("resnet18", pretrained="yes")


def test_the_first_layer_is_adapted_not_dropped(published):
    backbone = build_backbone("resnet18", in_channels=1, pretrained="yes")
    torch.testing.assert_close(backbone.conv1.weight, published["conv1.weight"].sum(1, keepdim=True))
    assert torch.equal(backbone.layer1[0].conv1.weight, published["layer1.0.conv1.weight"])


def test_adapted_channels_answer_alike():
    weight = torch.rand(2, 3, 7, 7)
    grey = torch.rand(1, 1, 7, 7)
    answer = torch.nn.functional.conv2d(grey.expand(1, 3, 7, 7), weight)
    torch.testing.assert_close(torch.nn.functional.conv2d(grey, adapt_input_channels(weight, 1)), answer)
    # Six channels are red, green, blue twice at half the weight.
    six = torch.nn.functional.conv2d(grey.expand(1, 6, 7, 7), adapt_input_channels(weight, 6))
    torch.testing.assert_close(six, answer)
    # Four: R, G, B, R, each times 3/4.
    assert torch.equal(adapt_input_channels(weight, 4)[:, 3], weight[:, 0] * 0.75)
    assert adapt_input_channels(weight, 3) is weight


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_from_a_file(published, tmp_path, suffix):
    path = tmp_path / f"resnet18{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": published}, path)
    else:
        save_file(published, path)
    backbone = build_backbone("resnet18", pretrained=path)
    assert all(torch.equal(value, published[key]) for key, value in backbone.state_dict().items())


def test_weights_of_another_model_are_refused(published, tmp_path):
    save_file(published, tmp_path / "resnet18.safetensors")
    with pytest.raises(ModelError, match=r"(?s)are from another model.*parameters missing"):
        build_backbone("resnet34", pretrained=tmp_path / "resnet18.safetensors")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.safetensors", b"\x10\x00"),
        ("empty.pth", b""),
        ("text.pth", b"hello"),
        ("code.pth", pickle.dumps(print)),
        ("list.pth", None),
    ],
)
def test_a_file_that_is_no_table_of_tensors_is_refused(tmp_path, name, content):
    path = tmp_path / name
    if content is None:
        torch.save([1, 2], path)
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=name):
        build_backbone("resnet18", pretrained=path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"The weight file does not exist.*nowhere\.pth"):
        build_backbone("resnet18", pretrained=tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("mobilenetv3_small_050", "conv_stem.weight"),
        ("convnext_atto", "stem_0.weight"),  # renamed by timm's wrapper, from stem.0.weight
        ("vit_small_patch32_224", "model.patch_embed.proj.weight"),  # wrapped once more
    ],
)
def test_a_timm_backbone_takes_weights_too(monkeypatch, name, stem):
    torch.manual_seed(1)
    source = timm.create_model(name).state_dict()
    monkeypatch.setattr(pretrained, "fetch_from_hub", lambda _name: dict(source))
    model = build_backbone(name, pretrained="yes", in_channels=1).model
    state = model.state_dict()
    assert state.pop(stem).shape[1] == 1
    given = {key.replace(".", "_"): value for key, value in source.items()}
    for key, value in state.items():
        assert torch.equal(value, given[key.removeprefix("model.").replace(".", "_")]), key


def test_weights_that_nobody_publishes_name_the_nearest_that_somebody_does(caplog):
    with caplog.at_level(logging.WARNING, logger="limner"):
        build_backbone("resnet18c", pretrained="auto")
    assert "none are published (did you mean 'resnet18" in caplog.text


def test_without_a_name_server_the_hub_is_not_waited_for(monkeypatch):
    from huggingface_hub import constants

    def no_such_name(*_arguments):
        raise OSError("Name or service not known")

    seen = []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(pretrained.socket, "getaddrinfo", no_such_name)
    monkeypatch.setattr(pretrained, "getproxies", dict)
    monkeypatch.setattr(timm, "create_model", lambda *_a, **_k: seen.append(constants.HF_HUB_OFFLINE))
    with pytest.raises(ConfigError):
        build_backbone("resnet18", pretrained="yes")
    assert seen == [True]
    assert constants.HF_HUB_OFFLINE is False
