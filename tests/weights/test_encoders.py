"""Classifiers of images as initial weights: the encoder is loaded, the rest is new."""

import pytest
import torch

from limner.core.config import parse_config
from limner.core.errors import ConfigError, ModelError
from limner.core.plan import Plan
from limner.networks.backbones import build_backbone
from limner.weights import import_checkpoint
from limner.weights.checkpoint_files import read_checkpoint
from limner.weights.encoders import encoder_plan, recognize_encoder
from limner.weights.model import Model
from limner.weights.starting import read_starting_plan, start_from


@pytest.fixture
def classifier(tmp_path):
    """A ResNet-18 as torchvision saves it: its layers, and the classifier of 1000 classes."""
    torch.manual_seed(0)
    state = build_backbone("resnet18").state_dict()
    state |= {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "resnet18.pth")
    return tmp_path / "resnet18.pth", state


def test_the_network_is_built_on_the_encoder(classifier):
    path, _ = classifier
    plan = read_starting_plan(path, task="semantic")
    assert plan.network.name == "encoder-unet" and plan.network.options == {"backbone": "resnet18"}
    assert plan.input.mean == (123.675, 116.28, 103.53)
    named = read_starting_plan(path, task="semantic", network={"name": "linknet", "options": {"channels": 8}})
    assert named.network.name == "linknet"
    assert named.network.options == {"channels": 8, "backbone": "resnet18"}


def test_the_encoder_is_loaded_and_the_decoder_is_new(classifier):
    path, state = classifier
    model = Model.from_plan(read_starting_plan(path, task="semantic"))
    before = model.network.head.conv.weight.clone()
    done, licence = start_from(path, model)
    found = model.network.backbone.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items() if name in found)
    assert torch.equal(model.network.head.conv.weight, before)
    assert len(done.loaded) == len(found) and licence is None
    assert done.skipped == ("fc.bias", "fc.weight")
    assert "decoder.0.conv1.conv.weight" in done.new and not any(n.startswith("backbone") for n in done.new)


def test_other_tasks_and_encoders_have_to_be_named(classifier, tmp_path):
    encoder = recognize_encoder(read_checkpoint(classifier[0]))
    with pytest.raises(ConfigError, match="Name the network"):
        encoder_plan(encoder, {}, task="instance")
    with pytest.raises(ConfigError, match="'unet' has no encoder"):
        encoder_plan(encoder, {"name": "unet"}, task="semantic")
    torch.save({"stem.weight": torch.ones(3), "head.fc.weight": torch.ones(3, 4)}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match="Name it as timm does: --set network.options.backbone=NAME"):
        read_starting_plan(tmp_path / "other.pth", task="semantic")


def test_an_encoder_of_another_size_is_refused(classifier):
    path, _ = classifier
    network = {"name": "encoder-unet", "options": {"backbone": "resnet34"}}
    model = Model.from_plan(read_starting_plan(path, task="semantic", network=network))
    with pytest.raises(ModelError, match="another model"):
        start_from(path, model)


def test_a_classifier_is_imported_whole_to_classify(classifier):
    path, state = classifier
    imported = import_checkpoint(path)
    plan, names = imported.model.plan, imported.model.labels.names
    assert plan.task == "classification" and plan.inference.resize.shortest == 256
    # As in the categories of torchvision's weights.
    assert (names[0], names[207], names[999]) == ("tench", "golden retriever", "toilet tissue")
    assert len(set(names)) == 1000 and sum(name.startswith("crane") for name in names) == 2
    found = imported.model.network.state_dict()
    assert torch.equal(found["head.bias"], state["fc.bias"])
    assert torch.equal(found["backbone.layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])


def test_training_to_classify_keeps_the_rows_of_known_classes(classifier):
    path, state = classifier
    state = state | {"fc.bias": torch.arange(1000.0)}
    torch.save(state, path)
    plan = read_starting_plan(path, task="classification")
    assert (plan.task, plan.network.name) == ("classification", "classifier")
    two = [{"name": "tench", "values": [0]}, {"name": "a class of one's own", "values": [1]}]
    values = plan.model_dump()
    values["data"]["labels"]["classes"] = [
        {**old, **new} for old, new in zip(values["data"]["labels"]["classes"], two, strict=False)
    ]
    model = Model.from_plan(parse_config(Plan, values, where="the test"))
    done, _ = start_from(path, model)
    assert done.carried == ("tench",) and set(done.by_class) == {"head.weight", "head.bias"}
    assert model.network.head.bias[0] == 0 and len(done.loaded) == len(state) - 2


def test_other_classifiers_of_that_kind_have_to_be_named(classifier):
    path, state = classifier
    torch.save({name: t for name, t in state.items() if not name.startswith("layer3.1.")}, path)
    with pytest.raises(ModelError, match="none of the ResNet[\\s\\S]*network.options.backbone=NAME"):
        import_checkpoint(path)


def test_an_efficientnet_of_timm_has_to_say_its_name(tmp_path):
    """The same shapes have several members, which differ in padding and eps."""
    timm = pytest.importorskip("timm")
    state = timm.create_model("mobilenetv2_050", num_classes=3).state_dict()
    torch.save(state, tmp_path / "best.pth")
    with pytest.raises(ModelError, match="Name it as timm does"):
        import_checkpoint(tmp_path / "best.pth")
    settings = {"network": {"options": {"backbone": "mobilenetv2_050"}}}
    named = import_checkpoint(tmp_path / "best.pth", settings=settings)
    assert torch.equal(named.model.network.head.weight, state["classifier.weight"])
    torch.save(state, tmp_path / "mobilenetv2_050.pth")
    assert import_checkpoint(tmp_path / "mobilenetv2_050.pth").model.labels.num_classes == 3


def test_an_encoder_of_mmpretrain_without_a_head_is_for_training(classifier, tmp_path):
    _, state = classifier
    encoder = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    content = {"state_dict": {f"backbone.{name}": tensor for name, tensor in encoder.items()}, "meta": {}}
    path = tmp_path / "simsiam.pth"
    torch.save(content, path)
    plan = read_starting_plan(path, task="semantic", network={"name": "linknet"})
    assert plan.network.options["backbone"] == "resnet18"
    model = Model.from_plan(plan)
    start_from(path, model)
    found = model.network.backbone.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in encoder.items())
    with pytest.raises(ModelError, match="2 missing: head.bias, head.weight"):
        import_checkpoint(path)
