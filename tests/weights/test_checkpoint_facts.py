"""What a Hugging Face folder says about itself; its tensors are made without transformers."""

import json

import pytest
import torch
from safetensors.torch import save_file

from limner.core.errors import ModelError
from limner.core.plan import ResizePlan
from limner.formats import class_tables
from limner.weights import import_checkpoint


@pytest.fixture
def folder(authors_state, authors_names, tmp_path):
    """Makes a folder as transformers writes it, with any of its JSON files."""

    def make(config=None, preprocessor=None, *, num_classes=3, name="checkpoint", write=None):
        state, _ = authors_state(num_classes)
        tensors = {}
        for theirs, names in authors_names(
            resnet=((2, 2, 2, 2), 2), pixel_layers=1, decoder_layers=1
        ).items():
            tensors |= dict(zip(names, state[theirs].chunk(len(names)), strict=True))
        tensors = {key: value.contiguous() for key, value in tensors.items()}
        path = tmp_path / name
        path.mkdir(parents=True)
        (write or _write_whole)(path, tensors)
        settings = {"model_type": "mask2former", "num_attention_heads": 8} | (config or {})
        (path / "config.json").write_text(json.dumps(settings), "utf-8")
        if preprocessor is not None:
            (path / "preprocessor_config.json").write_text(json.dumps(preprocessor), "utf-8")
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
    with pytest.raises(ModelError, match="1 tensors are in none of the files, such as more"):
        import_checkpoint(path.parent, task="semantic")
    index["weight_map"]["more"] = "../elsewhere.safetensors"
    path.write_text(json.dumps(index), "utf-8")
    with pytest.raises(ModelError, match="names a file elsewhere"):
        import_checkpoint(path.parent, task="semantic")


def test_names_of_a_public_dataset_bring_its_values_and_things(folder):
    names = [f"{name}, a synonym " for name in class_tables.ade20k().names]
    # Written as text keys in any order.
    id2label = {str(i): names[i] for i in reversed(range(150))}
    imported = import_checkpoint(folder({"id2label": id2label}, num_classes=150), task="panoptic")
    labels = imported.model.labels
    assert labels.names[0] == "wall, a synonym" and labels.classes[0].values == (1,)
    assert labels.is_thing.sum() == 100
    assert "mask values of ADE20K" in imported.facts["classes"]


def test_other_names_are_numbered_and_never_stand_twice(folder):
    imported = import_checkpoint(folder({"id2label": {"0": "a", "1": "b", "2": "a"}}), task="panoptic")
    assert imported.model.labels.names == ("a (0)", "b", "a (2)")
    assert [c.values for c in imported.model.labels.classes] == [(0,), (1,), (2,)]
    assert "all are taken to be countable" in imported.facts["classes"]


def test_placeholders_are_no_names(folder):
    config = {"id2label": {i: f"LABEL_{i}" for i in range(80)}}
    imported = import_checkpoint(folder(config, num_classes=80))
    assert imported.model.labels.names[0] == "person"
    assert "taken to be those of COCO" in imported.facts["classes"]


@pytest.mark.parametrize(
    ("preprocessor", "expected"),
    [
        (None, ResizePlan(shortest=800, longest=1333, multiple=32)),
        ({"do_resize": False, "size": {"height": 4, "width": 4}}, ResizePlan()),
        ({"size": {"height": 384, "width": 512}, "size_divisor": 0}, ResizePlan(size=(384, 512))),
        (
            {"size": 480, "max_size": 900, "size_divisibility": 64},
            ResizePlan(shortest=480, longest=900, multiple=64),
        ),
        ({"size": {"shortest_edge": 512, "longest_edge": None}}, ResizePlan(shortest=512, multiple=32)),
    ],
)
def test_every_way_to_write_a_size_is_read(folder, preprocessor, expected):
    assert (
        import_checkpoint(folder(None, preprocessor), task="semantic").model.plan.inference.resize == expected
    )


def test_a_size_that_is_not_known_is_refused(folder):
    path = folder(None, {"size": {"max_height": 4, "max_width": 4}})
    with pytest.raises(ModelError, match=r"size \{'max_height': 4"):
        import_checkpoint(path, task="semantic")


@pytest.mark.parametrize(
    ("preprocessor", "mean", "std"),
    [
        ({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}, 127.5, 63.75),
        ({"do_rescale": False, "image_mean": [100.0] * 3, "image_std": [50.0] * 3}, 100.0, 50.0),
        ({"do_normalize": False}, 0.0, 255.0),
        ({"rescale_factor": 0.5, "image_mean": [1.0] * 3, "image_std": [2.0] * 3}, 2.0, 4.0),
    ],
)
def test_normalisation_is_in_the_values_of_image_files(folder, preprocessor, mean, std):
    found = import_checkpoint(folder(None, preprocessor), task="semantic").model.plan.input
    assert found.mean == pytest.approx((mean,) * 3) and found.std == pytest.approx((std,) * 3)


def test_licences(folder):
    authors = folder(name="models--facebook--mask2former-swin-tiny-coco-instance/snapshots/1")
    imported = import_checkpoint(authors)
    assert imported.licence == "CC-BY-NC-4.0" and imported.model.plan.task == "instance"
    mine = folder(name="mine-semantic")
    assert import_checkpoint(mine).licence is None
    assert "ask its maker" in import_checkpoint(mine).facts["licence"]
    (mine / "README.md").write_text("---\ntags: [a]\nlicense: apache-2.0\n---\n# A model\n", "utf-8")
    assert import_checkpoint(mine).licence == "apache-2.0"
    assert import_checkpoint(mine, licence="MIT").licence == "MIT"


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"model_type": "detr"}, "model_type 'detr'"),
        ({"pre_norm": True}, "pre_norm True"),
        ({"common_stride": 8}, "common_stride 8"),
        ({"num_attention_heads": 5}, "32 channels"),
    ],
)
def test_variants_that_limner_has_not_are_named(folder, config, found):
    with pytest.raises(ModelError, match=found):
        import_checkpoint(folder(config), task="semantic")
