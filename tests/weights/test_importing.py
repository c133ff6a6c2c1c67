"""What import_checkpoint finds out, and what it refuses; test_import_parity has the numbers."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from limner.core.errors import ConfigError, ModelError
from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import ResizePlan
from limner.inference.predictor import Predictor
from limner.weights import import_checkpoint
from limner.weights.bundle import load_model, save_model


def test_every_tensor_of_the_authors_finds_its_place(authors_state, authors_file):
    _, network = authors_state()
    imported = import_checkpoint(authors_file(), task="semantic")
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected, found = network(images), imported.model.network(images)
    assert torch.equal(found.class_logits, expected.class_logits)
    assert torch.equal(found.mask_logits, expected.mask_logits)
    assert imported.model.plan.network.options == {
        "backbone": "resnet18",
        "backbone_norm": "frozen",
        "num_queries": 5,
        "channels": 32,
        "pixel_layers": 1,
        "pixel_feedforward": 16,
        "decoder_layers": 1,
        "decoder_feedforward": 16,
    }


def test_the_result_is_an_ordinary_model(authors_file, tmp_path):
    imported = import_checkpoint(authors_file(), task="instance", licence="CC0-1.0")
    save_model(tmp_path / "model", imported.model, origin=imported.origin, licence=imported.licence)
    predictor = Predictor(load_model(tmp_path / "model"), device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    assert predictor.predict(image).masks.shape[1:] == (50, 70)
    card = json.loads((tmp_path / "model" / "model.json").read_text("utf-8"))
    assert card["licence"] == "CC0-1.0"
    assert "Detectron2" in card["origin"]["written_by"] and "you said so" in card["origin"]["licence"]


def test_names_of_before_the_second_version_are_known(authors_state, tmp_path):
    state, network = authors_state()
    old = {
        key.replace("query_feat", "static_query").replace("sem_seg_head.pixel_decoder", "sem_seg_head"): value
        for key, value in state.items()
    }
    torch.save({"model": {f"module.{key}": value for key, value in old.items()}}, tmp_path / "old.pth")
    found = import_checkpoint(tmp_path / "old.pth", task="semantic").model.network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("name", "classes", "task", "data"),
    [
        ("model_final_3c8ec9.pkl", 80, "instance", "COCO"),
        ("model_final_94dc52.pkl", 133, "panoptic", "COCO panoptic"),
        ("model_final_500878.pkl", 150, "semantic", "ADE20K"),
        ("model_final_cc1b1f.pkl", 19, "semantic", "Cityscapes"),
    ],
)
def test_files_of_the_authors_are_known_by_name(authors_file, name, classes, task, data):
    imported = import_checkpoint(authors_file(name, classes))
    assert imported.model.plan.task == task and imported.licence == "CC-BY-NC-4.0"
    assert f"taken to be those of {data}, since there are {classes}" in imported.facts["classes"]
    assert "no commercial use" in imported.facts["licence"]


def test_published_classes_have_their_own_values_and_things(authors_file):
    labels = import_checkpoint(authors_file(num_classes=133)).model.labels
    assert [c.values for c in labels.classes[:12]] == [(n,) for n in (*range(1, 12), 13)]
    assert labels.names[0] == "person" and labels.names[-1] == "rug-merged" and labels.is_thing.sum() == 80
    labels = import_checkpoint(authors_file(num_classes=19), task="panoptic").model.labels
    assert labels.classes[0].values == (7,) and labels.names[labels.is_thing.argmax()] == "person"
    labels = import_checkpoint(authors_file(num_classes=150), task="panoptic").model.labels
    assert labels.names[:3] == ("wall", "building", "sky") and labels.is_thing.sum() == 100


@pytest.mark.parametrize(
    ("classes", "task", "expected"),
    [
        (80, "instance", ResizePlan(shortest=800, longest=1333, multiple=32)),
        (150, "semantic", ResizePlan(shortest=512, longest=2048, multiple=32)),
        (19, "panoptic", ResizePlan(shortest=1024, longest=2048, multiple=32)),
        (3, "semantic", ResizePlan(multiple=32)),
    ],
)
def test_images_are_resized_as_the_authors_do(authors_file, classes, task, expected):
    assert (
        import_checkpoint(authors_file(num_classes=classes), task=task).model.plan.inference.resize
        == expected
    )


def test_the_task_is_told_by_the_path_or_asked_for(authors_file, tmp_path):
    folder = tmp_path / "maskformer2_R50_instance"
    folder.mkdir()
    named = authors_file().rename(folder / "final.pkl")
    assert import_checkpoint(named).model.plan.task == "instance"
    with pytest.raises(
        ConfigError, match=r"150 classes, which is ADE20K, semantic and panoptic[\s\S]*--task"
    ):
        import_checkpoint(authors_file(num_classes=150))
    with pytest.raises(ConfigError, match="no task 'boxes'"):
        import_checkpoint(authors_file(), task="boxes")


def test_classes_can_be_named(authors_file):
    table = LabelTable(tuple(LabelClass(name, (i,), (0, 0, 0)) for i, name in enumerate("abc")))
    assert import_checkpoint(authors_file(), task="semantic", classes=table).model.labels == table
    with pytest.raises(ModelError, match=r"3 names: a, b, c[\s\S]*expected: 8"):
        import_checkpoint(authors_file(num_classes=8), classes=table)


ANOTHER = {"conv1.weight": torch.ones(3), "fc.bias": torch.ones(2)}


def test_another_architecture_is_named(tmp_path):
    torch.save(ANOTHER, tmp_path / "resnet.pth")
    with pytest.raises(
        ModelError, match=r"another architecture[\s\S]*2 tensors, such as conv1.weight, fc.bias"
    ):
        import_checkpoint(tmp_path / "resnet.pth")
    save_file(ANOTHER, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "maskformer"}', "utf-8")
    with pytest.raises(ModelError, match="another architecture[\\s\\S]*model_type 'maskformer'"):
        import_checkpoint(tmp_path)


def test_missing_superfluous_and_misshapen_tensors_are_counted(authors_file):
    predictor = "sem_seg_head.predictor"
    path = authors_file(
        **{
            f"{predictor}.decoder_norm.weight": None,
            "backbone.res2.0.conv1.norm.bias": None,
            f"{predictor}.mask_embed.layers.0.weight": torch.ones(3, 4),
            f"{predictor}.extra.weight": torch.ones(1),
        }
    )
    with pytest.raises(ModelError) as caught:
        import_checkpoint(path, task="semantic")
    said = str(caught.value)
    assert "2 missing: backbone.layer1.0.bn1.bias, query_decoder.decoder_norm.weight" in said
    assert "1 too many: sem_seg_head.predictor.extra.weight" in said
    assert "1 of another shape: sem_seg_head.predictor.mask_embed.layers.0.weight (3, 4) for (32, 32)" in said
    assert "mend:" in said


def test_a_checkpoint_without_classes_is_refused(authors_file):
    path = authors_file(
        **{"sem_seg_head.predictor.class_embed.bias": None, "sem_seg_head.predictor.class_embed.weight": None}
    )
    with pytest.raises(ModelError, match="no class head"):
        import_checkpoint(path, task="semantic")


def test_a_backbone_of_others_is_named(authors_file):
    path = authors_file(
        **{"backbone.res5.1.conv1.weight": None, "backbone.res5.2.conv1.weight": torch.ones(1)}
    )
    with pytest.raises(
        ModelError, match=r"backbone is none[\s\S]*ResNet of blocks \(2, 2, 2, 3\)[\s\S]*resnet50"
    ):
        import_checkpoint(path, task="semantic")


@pytest.mark.parametrize("name", ["nothing.pkl", "empty"])
def test_nothing_there(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=name):
        import_checkpoint(tmp_path / name)
