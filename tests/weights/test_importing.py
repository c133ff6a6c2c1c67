"""What import_checkpoint finds out, and what it refuses; test_import_parity has the numbers."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from limner.core.errors import ModelError
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
    assert "Detectron2" in card["origin"]["written_by"] and "you set it" in card["origin"]["licence"]


def test_names_of_before_the_second_version_are_known(authors_state, tmp_path):
    state, network = authors_state()
    old = {
        key.replace("query_feat", "static_query").replace("sem_seg_head.pixel_decoder", "sem_seg_head"): value
        for key, value in state.items()
    }
    torch.save({"model": {f"module.{key}": value for key, value in old.items()}}, tmp_path / "old.pth")
    found = import_checkpoint(tmp_path / "old.pth", task="semantic").model.network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())


def test_a_file_of_the_authors_is_known_by_its_name(authors_file):
    imported = import_checkpoint(authors_file("model_final_94dc52.pkl", 133))
    assert imported.model.plan.task == "panoptic" and imported.licence == "CC-BY-NC-4.0"
    assert "assumed to be those of COCO panoptic, since there are 133" in imported.facts["classes"]
    assert "no commercial use" in imported.facts["licence"]
    assert imported.model.plan.inference.resize == ResizePlan(shortest=800, longest=1333, multiple=32)


ANOTHER = {"conv1.weight": torch.ones(3), "trunk.bias": torch.ones(2)}


def test_another_architecture_is_named(tmp_path):
    torch.save(ANOTHER, tmp_path / "resnet.pth")
    with pytest.raises(
        ModelError, match=r"another architecture[\s\S]*2 tensors, such as conv1.weight, trunk.bias"
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
    assert "1 unexpected: sem_seg_head.predictor.extra.weight" in said
    assert "1 of another shape: sem_seg_head.predictor.mask_embed.layers.0.weight (3, 4) for (32, 32)" in said
    assert "fix:" in said


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
        ModelError, match=r"backbone is not supported[\s\S]*ResNet of blocks \(2, 2, 2, 3\)[\s\S]*resnet50"
    ):
        import_checkpoint(path, task="semantic")


@pytest.mark.parametrize("name", ["nothing.pkl", "empty"])
def test_nothing_there(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=name):
        import_checkpoint(tmp_path / name)
