import hashlib
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import limner
from limner.core.errors import ModelError, WriteError
from limner.core.outputs import DenseLogits, resize_logits
from limner.weights.bundle import load_model, read_model_plan, save_model
from limner.weights.card import read_card
from limner.weights.model import Model


@pytest.fixture
def saved(tiny_model, tmp_path):
    save_model(tmp_path / "model", tiny_model(), origin={"data": "ü", "steps": 3}, licence="CC0-1.0")
    return tmp_path / "model"


def rewrite(folder, name, text, *, with_hash=True):
    (folder / name).write_text(text, encoding="utf-8")
    if with_hash:
        card = json.loads((folder / "model.json").read_text("utf-8"))
        card["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "model.json").write_text(json.dumps(card), "utf-8")


def test_what_was_saved_is_loaded(saved, tiny_model):
    model, again = tiny_model(), load_model(saved)
    images = torch.randint(0, 256, (1, 3, 40, 40), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(model(images).logits, again(images).logits)
    assert again.plan == model.plan and again.labels == model.labels and not again.training
    card = read_card(saved)
    assert card.limner == limner.__version__ and card.licence == "CC0-1.0"
    assert card.origin == {"data": "ü", "steps": 3}
    assert card.parameters == sum(p.numel() for p in model.network.parameters())
    assert read_model_plan(saved) == model.plan


def test_the_folder_can_be_read_with_plain_torch_as_the_documentation_says(saved, tiny_model):
    text = (Path(__file__).parents[2] / "docs" / "model-folder.md").read_text("utf-8")
    snippet = re.findall(r"```python\n(.*?)```", text.partition("## With plain torch")[2], re.DOTALL)[0]
    images = torch.randint(0, 256, (1, 3, 40, 44))
    snippet = snippet.replace("runs/nuclei/model", str(saved))
    snippet, replaced = re.subn(r"images = torch\.zeros\(.*\)", "images = given", snippet)
    assert replaced == 1
    names = {"given": images}
    exec(snippet, names)
    with torch.no_grad():
        expected = resize_logits(tiny_model()(images).logits, (40, 44)).argmax(1)
    assert torch.equal(names["labels"], expected)


def test_the_folder_holds_four_files_and_no_pickle(saved):
    labels = yaml.safe_load((saved / "labels.yaml").read_text("utf-8"))
    assert [(c["name"], c["values"]) for c in labels["classes"]] == [("background", [0]), ("cell", [255])]
    assert sorted(p.name for p in saved.iterdir()) == [
        "labels.yaml",
        "model.json",
        "plan.yaml",
        "weights.safetensors",
    ]


@pytest.mark.parametrize("name", ["weights.safetensors", "plan.yaml", "labels.yaml"])
def test_a_changed_byte_is_noticed_and_the_file_named(saved, name):
    data = bytearray((saved / name).read_bytes())
    data[-3] ^= 1
    (saved / name).write_bytes(data)
    with pytest.raises(ModelError, match=rf"(?s)changed or damaged.*{name}.*SHA-256"):
        load_model(saved)


@pytest.mark.parametrize("name", ["weights.safetensors", "plan.yaml", "labels.yaml", "model.json"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(ModelError, match=f"(?s)not a complete model folder.*{name} missing"):
        load_model(saved)


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.pkl", "W.PTH", "w.ckpt", "w.pth.tar"])
def test_a_pickle_is_refused_unopened(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match=r"(?s)run arbitrary code.*" + name):
        load_model(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_yaml_that_would_run_code_is_refused(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rewrite(saved, "labels.yaml", "!!python/object/apply:pathlib.Path.touch [exploded]")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(saved)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("plan.yaml", "task: semantic\nnetwrok: {}\n", "did you mean 'network'"),
        ("plan.yaml", "{", "not valid YAML"),
        ("labels.yaml", "[]", "settings cannot be read"),
        ("labels.yaml", "clases: []", "did you mean 'classes'"),
        ("labels.yaml", "classes: []", "contain no class"),
    ],
)
def test_settings_that_cannot_be_used(saved, name, text, words):
    rewrite(saved, name, text)
    with pytest.raises(ModelError, match=words):
        load_model(saved)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"format": "one"}', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_a_damaged_card(saved, text):
    (saved / "model.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelError, match=r"card is damaged"):
        load_model(saved)


def test_a_newer_version_says_upgrade(saved):
    card = json.loads((saved / "model.json").read_text()) | {"format": 2, "limner": "9.0", "news": 1}
    (saved / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"(?s)newer limner.*format 2, limner 9\.0.*Upgrade"):
        load_model(saved)


def test_no_such_folder_and_the_run_instead_of_the_model(saved):
    with pytest.raises(ModelError, match="no such model"):
        load_model(saved.parent / "nowhere")
    with pytest.raises(ModelError, match="Did you mean .*model"):
        load_model(saved.parent)
    (saved.parent / "image.png").touch()
    with pytest.raises(ModelError, match="(?s)not a model folder.*a file"):
        load_model(saved.parent / "image.png")


class Own(nn.Module):
    """A network of the user's own, with two names for one weight, as tied layers have."""

    def __init__(self, width=2):
        super().__init__()
        self.one = nn.Conv2d(3, width, 1)
        self.two = nn.Conv2d(3, width, 1)
        self.two.weight = self.one.weight

    def forward(self, images):
        return DenseLogits(self.one(images) + self.two(images))


def test_a_network_of_ones_own_is_given_again(tiny_plan, tmp_path):
    plan = tiny_plan()
    plan = plan.model_copy(update={"network": plan.network.model_copy(update={"name": "own"})})
    model = Model.from_plan(plan, Own())
    save_model(tmp_path / "model", model, origin={})
    with pytest.raises(ModelError, match=r"(?s)network is unknown.*load_model\(folder, network="):
        load_model(tmp_path / "model")
    again = load_model(tmp_path / "model", Own())
    images = torch.rand(1, 3, 4, 4)
    assert torch.equal(again(images).logits, model(images).logits)
    with pytest.raises(ModelError, match="(?s)do not fit.*size mismatch"):
        load_model(tmp_path / "model", Own(3))
    with pytest.raises(ModelError, match="(?s)do not fit.*missing.*unexpected"):
        load_model(tmp_path / "model", nn.Linear(1, 1))


def test_saving_again_replaces_and_leaves_nothing_behind(saved, tiny_model):
    model = tiny_model()
    with torch.no_grad():
        next(model.network.parameters()).zero_()
    save_model(saved, model, origin={"steps": 4})
    assert read_card(saved).origin == {"steps": 4}
    assert not next(load_model(saved).network.parameters()).any()
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_a_failed_save_leaves_the_old_model_whole(saved, tiny_model, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    before = {p.name: p.read_bytes() for p in saved.iterdir()}
    monkeypatch.setattr("limner.weights.bundle.save_file", full)
    with pytest.raises(WriteError, match="(?s)cannot be written.*no space left"):
        save_model(saved, tiny_model(), origin={})
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == before
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_a_rename_that_fails_puts_the_old_model_back(saved, tiny_model, monkeypatch):
    rename = Path.rename

    def refuse_new(self, target):
        if ".new." in self.name:
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(WriteError, match="Permission denied"):
        save_model(saved, tiny_model(), origin={"steps": 9})
    assert read_card(saved).origin["steps"] == 3


def test_a_folder_of_other_things_is_not_replaced(tiny_model, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    with pytest.raises(ModelError, match=r"(?s)not a model.*me\.jpg"):
        save_model(tmp_path / "photos", tiny_model(), origin={})
    assert (tmp_path / "photos" / "me.jpg").exists()


def test_a_save_that_was_cut_off_between_the_renames_says_where_the_old_one_is(saved):
    saved.rename(saved.with_name(".model.old"))
    with pytest.raises(ModelError, match=r"(?s)interrupted.*\.model\.old"):
        load_model(saved)


def test_normalisation_comes_from_the_plan(saved):
    model = load_model(saved)
    np.testing.assert_array_equal(model.normalization.std.numpy(), [50.0] * 3)
