"""Exports to PyTorch's own runtime, and what is common to all; the contract of networks has ONNX."""

import errno
import json
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
import torch
from torch.fx import config as tracing

import limner
from limner.core.errors import ConfigError, ModelError
from limner.core.plan import Plan, ResizePlan
from limner.exporting.agreement import measure_agreement
from limner.exporting.exported_module import ExportedModule
from limner.weights.bundle import save_model
from limner.weights.model import Model

QUICK = {
    "network": {"name": "unet", "options": {"widths": [4, 6]}},
    "input": {"crop_size": [32, 32]},
    "train": {"steps": 3, "batch_size": 2, "validate_every": 3, "save_every": 3, "trackers": []},
}


@pytest.fixture(scope="module")
def run(module_cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return limner.train(module_cells, run=folder, settings=QUICK, device="cpu")


def an_image(size=(45, 70)):
    return np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "of one size"
    limner.export(run.root, to="torch", out=folder)
    return folder


def test_an_export_predicts_as_its_model_in_windows(run, exported, module_cells, tmp_path):
    settings = limner.load(run.root).settings.model_copy(update={"window": (33, 33)})
    ours = limner.load(run.root, device="cpu", precision="float32", settings=settings)
    theirs = limner.load(exported, device="cpu")
    for size in ((45, 70), (33, 33), (20, 90)):
        expected, found = (p.predict(an_image(size), probabilities=True) for p in (ours, theirs))
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    limner.predict(exported, module_cells / "images", out=tmp_path / "predicted", device="cpu")
    assert len(list((tmp_path / "predicted" / "masks").iterdir())) == 6
    scored = limner.evaluate(exported, data=module_cells, out=tmp_path / "scores", device="cpu")
    assert scored.scores.num_images == 5


@pytest.mark.skipif(not hasattr(tracing, "do_not_emit_stack_traces"), reason="needs a newer PyTorch")
def test_a_file_names_no_place_on_this_machine(exported):
    with ZipFile(exported / "model.pt2") as file:
        content = b"".join(map(file.read, file.namelist()))
    assert b"torch.ops.aten" in content and str(Path(limner.__file__).parent).encode() not in content


def test_the_card_says_what_others_need(run, exported):
    card = json.loads((exported / "export.json").read_text("utf-8"))
    plan = limner.load(run.root, device="cpu").plan
    assert card["inputs"]["shape"] == [1, 3, 33, 33]
    assert card["inputs"]["mean"] == list(plan.input.mean)
    assert list(card["outputs"]) == ["logits"] and "before softmax" in card["outputs"]["logits"]
    assert [each["name"] for each in card["classes"]] == ["background", "cell"]
    assert card["agreement"]["images"].endswith("validation images")
    assert card["agreement"]["relative"]["logits"] < 1e-4 and card["agreement"]["labels_differ"] == 0
    assert (
        card["weights_sha256"]
        == json.loads((run.model / "model.json").read_text("utf-8"))["sha256"]["weights.safetensors"]
    )


@pytest.mark.parametrize("finish", ["labels", "probabilities"])
def test_a_finished_file_needs_no_limner(run, finish, tmp_path):
    limner.export(run.root, to="torch", out=tmp_path / "out", finish=finish, size=(48, 64))
    program = torch.export.load(tmp_path / "out" / "model.pt2").module()
    image = an_image((48, 64))
    (found,) = program(torch.from_numpy(image).permute(2, 0, 1)[None].float())
    expected = limner.load(run.root, device="cpu", precision="float32").predict(image, probabilities=True)
    wanted = expected.semantic if finish == "labels" else expected.probabilities
    np.testing.assert_allclose(found[0].numpy(), wanted, atol=1e-5)
    with pytest.raises(ModelError, match=f"outputs are finished[\\s\\S]*found: +{finish}"):
        limner.load(tmp_path / "out")


def test_what_is_compared_counts(run):
    model = limner.load(run.root, device="cpu", precision="float32").model
    module = ExportedModule(model, "outputs").eval()
    image = torch.from_numpy(an_image()).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        (logits,) = module(image)
    other = logits.clone()
    other[:, :, 0] = -other[:, :, 0]  # the first row has the other class
    found = measure_agreement(module, lambda _: (other.numpy(),), [image], ["logits"], images="one")
    assert found.labels_differ == pytest.approx(1 / logits.shape[2])
    assert found.largest["logits"] == pytest.approx(2 * logits[:, :, 0].abs().max().item(), rel=1e-5)
    spread = (logits.max() - logits.min()).item()
    assert found.worst == pytest.approx(found.largest["logits"] / spread, rel=1e-5)


def test_an_export_that_differs_is_not_kept(run, tmp_path, monkeypatch):
    from limner.weights.exported import RUNTIMES, Runtime

    wrong = Runtime(
        "a wrong runtime", "model.pt2", lambda path: lambda images: (torch.randn(1, 2, 45, 50).numpy(),)
    )
    monkeypatch.setitem(RUNTIMES, "torch", wrong)
    monkeypatch.setattr("limner.exporting.agreement._classes", lambda names, outputs: None)
    with pytest.raises(
        ModelError, match=r"a wrong runtime does not compute the same[\s\S]*logits differs by"
    ):
        limner.export(run.root, to="torch", out=tmp_path / "out", size=(45, 50))
    assert not (tmp_path / "out").exists()


def test_other_folders_and_changed_files_are_refused(run, exported, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="is not an export"):
        limner.export(run.root, to="torch", out=tmp_path / "thesis")
    with pytest.raises(ConfigError, match="There is no runtime named 'onx'.*did you mean 'onnx'"):
        limner.export(run.root, to="onx", out=tmp_path / "out")
    with pytest.raises(ConfigError, match="size needs 2 numbers"):
        limner.export(run.root, to="torch", out=tmp_path / "out", size=(32, 32, 32))
    path = exported / "model.pt2"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-7] + b"changed")
        with pytest.raises(ModelError, match="changed or damaged"):
            limner.load(exported)
    finally:
        path.write_bytes(content)


@pytest.mark.peer
def test_an_onnx_file_predicts_as_its_model(run, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    card = limner.export(run.root, out=tmp_path / "out", size=(48, 64))
    assert card.inputs["shape"] == [1, 3, 48, 64]
    settings = limner.load(run.root).settings.model_copy(update={"window": (48, 64)})
    ours = limner.load(run.root, device="cpu", precision="float32", settings=settings)
    theirs = limner.load(tmp_path / "out", device="cpu")
    for size in ((45, 70), (33, 40), (64, 64)):
        expected, found = (p.predict(an_image(size), probabilities=True) for p in (ours, theirs))
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)


def test_an_executorch_file_predicts_as_its_model(run, tmp_path):
    pytest.importorskip("executorch")
    card = limner.export(run.root, to="executorch", out=tmp_path / "out", size=(48, 64))
    assert card.file == "model.pte" and card.agreement["relative"]["logits"] < 1e-4
    settings = limner.load(run.root).settings.model_copy(update={"window": (48, 64)})
    ours = limner.load(run.root, device="cpu", precision="float32", settings=settings)
    theirs = limner.load(tmp_path / "out", device="cpu")
    expected, found = (p.predict(an_image(), probabilities=True) for p in (ours, theirs))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)


def test_executorch_has_one_size_and_precision(run, tmp_path):
    with pytest.raises(ConfigError, match=r"ExecuTorch take images of one size; found --size any"):
        limner.export(run.root, to="executorch", out=tmp_path / "out", size="any")
    with pytest.raises(ConfigError, match=r"ExecuTorch are written in float32; found --precision float16"):
        limner.export(run.root, to="executorch", out=tmp_path / "out", precision="float16")


def test_given_images_are_compared(run, tmp_path):
    (tmp_path / "own").mkdir()
    cv2.imwrite(str(tmp_path / "own" / "a.png"), an_image())
    card = limner.export(run.root, to="torch", out=tmp_path / "out", images=tmp_path / "own")
    assert card.agreement["images"] == f"1 images of {tmp_path / 'own'}"


@pytest.mark.parametrize("runtime", ["torch", "onnx", "openvino", "executorch"])
def test_nothing_is_left_of_an_export_that_fills_the_disk(run, tmp_path, monkeypatch, runtime):
    """The file is half written when the disk is full; the earlier export stays as it was."""
    from limner.core.errors import WriteError
    from limner.exporting.writing import WRITERS

    def fill(program, path, names, file_format):
        path.write_bytes(b"half of")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(WRITERS, runtime, fill)
    earlier = tmp_path / "out"
    earlier.mkdir()
    (earlier / "export.json").write_text("{}")
    with pytest.raises(WriteError, match="no space left on the disk"):
        limner.export(run.root, to=runtime, out=earlier, size=(45, 50))
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "export.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_by_the_writer_of_programs(run, tmp_path, monkeypatch):
    """PyTorch's own writer ends with an error of C++ that names no disk."""
    from limner.core.errors import WriteError

    def write(path, content):
        with Path("/dev/full").open("wb") as file:
            file.write(content)

    monkeypatch.setattr("limner.exporting.writing.write_whole", write)
    with pytest.raises(WriteError, match="no space left on the disk"):
        limner.export(run.root, to="torch", out=tmp_path / "out", size=(45, 50))
    assert not list(tmp_path.iterdir())


def test_a_size_that_the_network_cannot_take_is_refused(run, tmp_path, monkeypatch):
    from limner.networks.unet import UNet

    forward = UNet.forward

    def only_large(self, images):
        if images.shape[-1] < 64:
            raise ValueError("needs 64 columns or more")
        return forward(self, images)

    monkeypatch.setattr(UNet, "forward", only_large)
    monkeypatch.setattr("limner.exporting.export_model._names", lambda model, image: ["logits"])
    with pytest.raises(ModelError, match=r"for images of 45 x 50[\s\S]*64 columns[\s\S]*another size"):
        limner.export(run.root, to="torch", out=tmp_path / "out", size=(45, 50))
    assert not (tmp_path / "out").exists()


def test_classes_of_boxes_are_compared_where_either_finds_one():
    logits = torch.full((1, 500, 2), -8.0)
    logits[0, 0], logits[0, 1], logits[0, 2] = torch.tensor([[4.0, -4.0], [-4.0, 4.0], [-4.0, 3.0]])
    other = logits.clone()
    other[0, 2] = torch.tensor([3.0, -4.0])  # the other class
    other[0, 400, 1] = -7.9  # hardly any score: still nothing
    boxes = torch.rand(1, 500, 4)
    found = measure_agreement(
        lambda image: (logits, boxes),
        lambda image: (other.numpy(), boxes.numpy()),
        [torch.zeros(1, 3, 8, 8)],
        ["class_logits", "boxes"],
        images="one",
    )
    assert found.labels_differ == pytest.approx(1 / 3)


def test_a_single_map_is_compared_by_its_sign():
    logits = torch.full((1, 1, 4, 5), -2.0)
    other = logits.clone()
    other[0, 0, 0] = 1
    found = measure_agreement(
        lambda image: (logits,),
        lambda image: (other.numpy(),),
        [torch.zeros(1, 3, 8, 8)],
        ["logits"],
        images="",
    )
    assert found.labels_differ == pytest.approx(1 / 4)


def test_an_exported_classifier_predicts_images_of_any_size(tiny_plan, tmp_path):
    values = tiny_plan().model_dump() | {"task": "classification"}
    values["network"] = {
        "name": "classifier",
        "options": {"backbone": "resnet18_width16"},
        "pretrained": "no",
    }
    values["input"]["crop_size"], values["inference"]["resize"] = [40, 40], {"shortest": 48, "longest": 96}
    torch.manual_seed(0)
    save_model(tmp_path / "model", Model.from_plan(Plan.model_validate(values)).eval(), origin={})
    limner.export(tmp_path / "model", to="torch", out=tmp_path / "any")
    limner.export(tmp_path / "model", to="torch", out=tmp_path / "fixed", size=(40, 44))
    ours, theirs, fixed = (
        limner.load(tmp_path / name, device="cpu", precision="float32") for name in ("model", "any", "fixed")
    )
    resized = ours.settings.model_copy(update={"resize": ResizePlan(size=(40, 44))})
    squeezed = limner.load(tmp_path / "model", device="cpu", precision="float32", settings=resized)
    for size in ((45, 70), (90, 60)):
        picture = an_image(size)
        expected, found = ours.predict(picture), theirs.predict(picture)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
        np.testing.assert_allclose(
            fixed.predict(picture).probabilities, squeezed.predict(picture).probabilities, atol=1e-5
        )
