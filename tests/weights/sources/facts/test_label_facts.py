"""What a Hugging Face folder says about itself; its tensors are made without transformers."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from limner.core.errors import ConfigError, ModelError
from limner.core.labels import LabelClass, LabelTable
from limner.formats.public import class_tables
from limner.weights import import_checkpoint
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.sources.facts.label_facts import infer_labels, infer_licence, infer_task
from limner.weights.sources.queries.mask2former_shape import infer_heads


@pytest.fixture
def folder(authors_state, authors_names, tmp_path):
    """Makes a folder as transformers writes it."""

    def make(config=None, write=None):
        state, _ = authors_state()
        tensors = {}
        for theirs, names in authors_names(
            resnet=((2, 2, 2, 2), 2), pixel_layers=1, decoder_layers=1
        ).items():
            tensors |= dict(zip(names, state[theirs].chunk(len(names)), strict=True))
        tensors = {key: value.contiguous() for key, value in tensors.items()}
        path = tmp_path / "checkpoint"
        path.mkdir()
        (write or _write_whole)(path, tensors)
        settings = {"model_type": "mask2former", "num_attention_heads": 8} | (config or {})
        (path / "config.json").write_text(json.dumps(settings), "utf-8")
        return path

    return make


def _write_whole(path, tensors):
    save_file(tensors, path / "model.safetensors")


def _write_shards(path, tensors):
    names = sorted(tensors)
    places = {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(names)}
    for place in set(places.values()):
        save_file({name: tensors[name] for name in names if places[name] == place}, path / place)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}), "utf-8")


def _write_pickle(path, tensors):
    torch.save(tensors, path / "pytorch_model.bin")


@pytest.mark.parametrize("write", [_write_whole, _write_shards, _write_pickle])
def test_every_form_of_the_folder_holds_the_same(folder, authors_state, write):
    _, network = authors_state()
    found = import_checkpoint(folder(write=write), task="semantic").model.network
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(found(images).class_logits, network.eval()(images).class_logits)


def test_an_index_that_lies_is_refused(folder):
    path = folder(write=_write_shards) / "model.safetensors.index.json"
    index = json.loads(path.read_text("utf-8"))
    index["weight_map"]["more"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index), "utf-8")
    with pytest.raises(ModelError, match="1 tensors are missing from the files, such as more"):
        import_checkpoint(path.parent, task="semantic")
    index["weight_map"]["more"] = "../elsewhere.safetensors"
    path.write_text(json.dumps(index), "utf-8")
    with pytest.raises(ModelError, match="lists a file in another folder"):
        import_checkpoint(path.parent, task="semantic")


def said(config=None, *, path="checkpoint", card=""):
    """A checkpoint of which only the settings matter."""
    return Checkpoint(Path(path), {}, config or {"model_type": "mask2former"}, {}, card)


def test_names_of_a_public_dataset_bring_its_values_and_things():
    names = [f"{name}, a synonym " for name in class_tables.ade20k().names]
    # Written as text keys in any order.
    id2label = {str(i): names[i] for i in reversed(range(150))}
    labels = infer_labels(said({"id2label": id2label}), 150, "panoptic", None)
    assert labels.value.names[0] == "wall, a synonym" and labels.value.classes[0].values == (1,)
    assert labels.value.is_thing.sum() == 100
    assert "mask values of ADE20K" in labels.why


def test_other_names_are_numbered_and_never_stand_twice():
    labels = infer_labels(said({"id2label": {"0": "a", "1": "b", "2": "a"}}), 3, "panoptic", None)
    assert labels.value.names == ("a (0)", "b", "a (2)")
    assert [c.values for c in labels.value.classes] == [(0,), (1,), (2,)]
    assert "all are assumed countable" in labels.why


def test_placeholders_are_no_names():
    config = {"id2label": {i: f"LABEL_{i}" for i in range(80)}}
    labels = infer_labels(said(config), 80, "instance", None)
    assert labels.value.names[0] == "person" and "assumed to be those of COCO" in labels.why


def test_published_classes_have_their_own_values_and_things():
    labels = infer_labels(said(), 133, "panoptic", None).value
    assert [c.values for c in labels.classes[:12]] == [(n,) for n in (*range(1, 12), 13)]
    assert labels.names[0] == "person" and labels.names[-1] == "rug-merged" and labels.is_thing.sum() == 80
    labels = infer_labels(said(), 19, "panoptic", None).value
    assert labels.classes[0].values == (7,) and labels.names[labels.is_thing.argmax()] == "person"
    labels = infer_labels(said(), 150, "panoptic", None).value
    assert labels.names[:3] == ("wall", "building", "sky") and labels.is_thing.sum() == 100
    assert infer_labels(said(), 5, "semantic", None).value.names[-1] == "class_4"


def test_classes_can_be_named():
    table = LabelTable(tuple(LabelClass(name, (i,), (0, 0, 0)) for i, name in enumerate("abc")))
    assert infer_labels(said(), 3, "semantic", table).value == table
    with pytest.raises(ModelError, match=r"3 names: a, b, c[\s\S]*expected: 8"):
        infer_labels(said(), 8, "semantic", table)


def test_licences():
    authors = said(path="models--facebook--mask2former-swin-tiny-coco-instance/snapshots/1")
    assert infer_licence(authors, 80, None).value == "CC-BY-NC-4.0"
    named = said({"_name_or_path": "facebook/mask2former-swin-tiny-coco-instance"})
    assert infer_licence(named, 80, None).value == "CC-BY-NC-4.0"
    mine = infer_licence(said(), 80, None)
    assert mine.value is None and "ask its authors" in mine.why
    stated = said(card="---\ntags: [a]\nlicense: apache-2.0\n---\n# A model\n")
    assert infer_licence(stated, 80, None).value == "apache-2.0"
    assert infer_licence(stated, 80, "MIT").value == "MIT"


@pytest.mark.parametrize(
    ("path", "classes", "task"),
    [
        ("model_final_3c8ec9.pkl", 80, "instance"),
        ("model_final_94dc52.pkl", 133, "panoptic"),
        ("model_final_500878.pkl", 150, "semantic"),
        ("model_final_cc1b1f.pkl", 19, "semantic"),
        ("maskformer2_R50_instance/final.pkl", 3, "instance"),
        ("mask2former-swin-tiny-ade-semantic", 150, "semantic"),
        ("any.pkl", 133, "panoptic"),
    ],
)
def test_the_task_is_told_by_name_path_or_number_of_classes(path, classes, task):
    assert infer_task(said(path=path), classes, None).value == task


def test_a_task_that_nothing_tells_is_asked_for():
    with pytest.raises(
        ConfigError, match=r"150 classes, which is ADE20K, semantic and panoptic[\s\S]*--task"
    ):
        infer_task(said(), 150, None)
    with pytest.raises(ConfigError, match="no task 'boxes'"):
        infer_task(said(), 150, "boxes")
    # A name of the authors' says nothing about a file with other classes in it.
    with pytest.raises(ConfigError, match="3 classes"):
        infer_task(said(path="model_final_3c8ec9.pkl"), 3, None)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"model_type": "detr"}, "model_type 'detr'"),
        ({"pre_norm": True}, "pre_norm True"),
        ({"common_stride": 8}, "common_stride 8"),
    ],
)
def test_variants_that_limner_has_not_are_named(config, found):
    with pytest.raises(ModelError, match=found):
        infer_heads(said(config))


def test_heads_that_do_not_fit_the_tensors_are_refused(folder):
    with pytest.raises(ModelError, match="5 attention heads do not fit[\\s\\S]*32 channels"):
        import_checkpoint(folder({"num_attention_heads": 5}), task="semantic")
