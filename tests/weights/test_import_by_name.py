"""State dicts of any network of limner, whose name is given: each output kind, and names that differ."""

import pytest
import torch

from limner.core.errors import ConfigError, ModelError, UnknownNameError
from limner.networks import build_network
from limner.tasks import known_losses
from limner.weights import import_checkpoint
from limner.weights.sources import SOURCES

SMALL = "resnet18_width16"
PYRAMID = {"backbone": SMALL, "channels": 32, "num_queries": 5, "heads": 2}
DECODER = {"pixel_layers": 1, "pixel_feedforward": 16, "decoder_layers": 1, "decoder_feedforward": 16}
NAMED = {
    "classifier": ({"backbone": SMALL}, "classification", "cross_entropy"),
    "fcos": ({"backbone": SMALL, "channels": 32, "head_convs": 1}, "detection", "point_boxes"),
    "deformable-detr": (
        {**PYRAMID, "encoder_layers": 1, "decoder_layers": 1, "feedforward": 16},
        "detection",
        "box_set",
    ),
    "mask2former": ({**PYRAMID, **DECODER}, "instance", "segment_set"),
    "unet-centres": ({"widths": (4, 6, 8)}, "panoptic", "centre_offset"),
}


def _state(name, options, classes):
    torch.manual_seed(0)
    return build_network(name, num_classes=classes, **options).state_dict()


def _import(tmp_path, state, name, options, **asked):
    torch.save(state, tmp_path / "model.pth")
    return import_checkpoint(
        tmp_path / "model.pth", network=name, settings={"network": {"options": options}}, **asked
    )


@pytest.mark.parametrize("name", NAMED)
def test_every_output_kind(tmp_path, name):
    options, task, loss = NAMED[name]
    state = _state(name, options, 3)
    imported = _import(tmp_path, state, name, options, task=task)
    plan = imported.model.plan
    assert (plan.task, plan.loss.terms[0].name) == (task, loss)
    assert imported.model.labels.names == ("class_0", "class_1", "class_2")
    found = imported.model.network.state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in state.items())
    assert set(imported.tensors.used) == set(state)


def test_a_network_that_finds_words(tmp_path):
    options = {"backbone": SMALL, "channels": 32}
    imported = _import(tmp_path, _state("dbnet", options, 1), "dbnet", options)
    assert imported.model.plan.task == "text-detection" and imported.model.labels.names == ("text",)
    assert [choice.topic for choice in imported.open_choices] == ["normalisation", "channel order"]


def test_the_task_has_to_fit_the_network_and_is_asked_for(tmp_path):
    options = NAMED["unet-centres"][0]
    state = _state("unet-centres", options, 2)
    with pytest.raises(ConfigError, match="expected: instance or panoptic[\\s\\S]*Set it: --task"):
        _import(tmp_path, state, "unet-centres", options)
    with pytest.raises(ConfigError, match="unet-centres is for the task instance or panoptic.*semantic"):
        _import(tmp_path, state, "unet-centres", options, task="semantic")
    with pytest.raises(UnknownNameError, match="unet-centres"):
        _import(tmp_path, state, "unet-centers", options)


def test_classes_of_coco_and_imagenet_are_known_by_their_number(tmp_path):
    options = NAMED["fcos"][0]
    boxes = _import(tmp_path, _state("fcos", options, 80), "fcos", options)
    assert boxes.model.labels.names[:2] == ("person", "bicycle") and "COCO" in boxes.facts["classes"]
    options = NAMED["classifier"][0]
    state = _state("classifier", options, 1000)
    images = _import(tmp_path, state, "classifier", options, task="multilabel")
    assert images.model.labels.names[0] == "tench" and images.model.plan.task == "multilabel"


def test_tensors_with_other_names_are_matched_by_the_order_of_their_shapes(tmp_path):
    options = {"widths": (4, 6, 8)}
    state = _state("unet", options, 2)
    last = {name: t for name, t in state.items() if name.startswith("head.")}
    # Saved first, so that the order of all tensors is another one.
    other = {name.replace("head.classifier.", "last."): t for name, t in last.items()}
    other |= {name: t for name, t in state.items() if name not in last}
    imported = _import(tmp_path, other, "unet", options)
    found = imported.model.network.state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in state.items())
    assert imported.facts["tensors matched"].startswith(
        "by name; by order of their shapes: last.conv.weight as"
    )
    assert imported.tensors.renamed["last.conv.bias"] == "head.classifier.conv.bias"
    # One tensor more than the network has: the rest cannot be told apart.
    with pytest.raises(ModelError, match="not of the network unet"):
        _import(tmp_path, {**other, "first.weight": torch.ones(3)}, "unet", options)


def test_imported_plans_name_losses_that_exist():
    named = {
        term["name"] for source in SOURCES.values() for term in source.recipe.get("loss", {}).get("terms", ())
    }
    assert named and named <= known_losses()
