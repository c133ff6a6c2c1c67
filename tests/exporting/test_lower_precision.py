"""Exports in float16 and int8, and to OpenVINO; what needs no runtime is tested where there is none."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import limner
from limner.core.errors import ConfigError, DataError, MissingPartError, ModelError, UnknownNameError
from limner.exporting import export_model, score_drop
from limner.exporting.agreement import Agreement
from limner.exporting.lower_precision import FileFormat

SETTINGS = {
    "network": {"name": "unet", "options": {"widths": [8, 12]}},
    "input": {"crop_size": [40, 40]},
    "train": {"steps": 60, "batch_size": 4, "validate_every": 60, "save_every": 60, "trackers": []},
    "optimizer": {"learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def run(module_cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return limner.train(module_cells, run=folder, settings=SETTINGS, device="cpu")


@pytest.fixture
def model(tiny_model, tmp_path):
    from limner.weights.bundle import save_model

    save_model(tmp_path / "model", tiny_model(), origin={})
    return tmp_path / "model"


def pictures(folder, count=3):
    folder.mkdir()
    draw = np.random.default_rng(5)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), draw.integers(0, 256, (50, 60, 3), dtype=np.uint8))
    return folder


def test_what_cannot_be_lowered_is_refused(model, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(
        ConfigError, match=r"exported programs are written in float32; found --precision float16"
    ):
        limner.export(model, to="torch", out=out, precision="float16")
    with pytest.raises(UnknownNameError, match="no precision named 'int4'"):
        limner.export(model, out=out, precision="int4")
    with pytest.raises(ConfigError, match="--calibrate is for --precision int8"):
        limner.export(model, out=out, calibrate=tmp_path)
    with pytest.raises(ConfigError, match=r"needs images[\s\S]*no training images[\s\S]*--calibrate FOLDER"):
        limner.export(model, out=out, precision="int8")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images to calibrate with[\s\S]*empty[\s\S]*about 50 are enough"):
        limner.export(model, out=out, precision="int8", calibrate=tmp_path / "empty")
    with pytest.raises(DataError, match=r"no such image file[\s\S]*nowhere"):
        limner.export(model, out=out, precision="int8", calibrate=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="--opset is for --to onnx; found --to torch"):
        limner.export(model, to="torch", out=out, opset=18)
    assert not out.exists()


def request(precision="int8", max_loss=0.02):
    return SimpleNamespace(file_format=FileFormat(precision), max_loss=max_loss)


def test_a_loss_of_the_main_score_decides():
    def loss(export):
        return score_drop.ScoreDrop("5 images", "mean_iou", {"mean_iou": 0.8}, {"mean_iou": export})

    export_model._refuse_drop(loss(0.785), request())
    export_model._refuse_drop(loss(0.9), request())  # better is no loss
    with pytest.raises(ModelError, match=r"mean IoU 0\.7700, of the model 0\.8000, on 5 images[\s\S]*0\.02"):
        export_model._refuse_drop(loss(0.77), request())
    export_model._refuse_drop(loss(0.77), request(max_loss=0.04))


def test_without_labels_the_classes_decide():
    def differing(share):
        return Agreement("5 images", 5, {"logits": 1.0}, {"logits": 0.3}, share, 1.0, 1.0)

    export_model._refuse_other_labels(differing(0.05), request())
    export_model._refuse_other_labels(differing(0.06), request("float16"))
    with pytest.raises(ModelError, match=r"6\.00 % of the classes differ, on 5 images"):
        export_model._refuse_other_labels(differing(0.06), request())


def test_a_missing_library_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(MissingPartError, match=r"openvino[\s\S]*limner\[openvino\]"):
        limner.export(model, to="openvino", out=tmp_path / "out", size=(64, 64))
    assert not (tmp_path / "out").exists()


@pytest.mark.peer
def test_an_opset_is_kept_or_refused(model, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    with pytest.raises(ConfigError, match=r"such an old version[\s\S]*--opset 9[\s\S]*18 or newer"):
        limner.export(model, out=tmp_path / "out", opset=9, size=(64, 64))
    with pytest.raises(ConfigError, match=r"no such version[\s\S]*--opset 999"):
        limner.export(model, out=tmp_path / "out", opset=999, size=(64, 64))
    assert not (tmp_path / "out").exists()
    limner.export(model, out=tmp_path / "out", opset=19, size=(64, 64))
    written = onnx.load(tmp_path / "out" / "model.onnx").opset_import
    assert [each.version for each in written if not each.domain] == [19]


@pytest.mark.peer
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_files_in_lower_precision_are_scored(run, precision, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    card = limner.export(run.root, out=tmp_path / "out", precision=precision, size=(40, 48))
    written = json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))
    assert written["precision"] == precision and written["scores"] == card.scores
    assert card.scores["main"] == "foreground_dice"
    model, export = (card.scores[which]["foreground_dice"] for which in ("model", "export"))
    assert model > 0.8, "a threshold of one channel is learned in 60 steps"
    assert abs(model - export) < 0.02
    graph = onnx.load(tmp_path / "out" / "model.onnx").graph
    assert graph.input[0].name == "images" and graph.input[0].type.tensor_type.elem_type == 1
    assert graph.output[0].type.tensor_type.elem_type == 1
    kinds = {each.data_type for each in graph.initializer if len(each.dims) > 1 and ".conv" in each.name}
    assert kinds == ({10} if precision == "float16" else {3}), "all weights are float16, or int8"
    (first,) = [node for node in graph.node if "images" in node.input]
    (second,) = [node for node in graph.node if first.output[0] in node.input]
    assert [first.op_type, second.op_type] == ["Sub", "Div"], "file values are normalised in float32"


@pytest.mark.peer
def test_values_beyond_float16_are_normalised_first(tiny_model, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from limner.weights.bundle import save_model

    model = tiny_model(channels=1)
    plan = model.plan
    values = plan.input.model_copy(update={"mean": (62000.0,), "std": (2000.0,)})
    model.plan = plan.model_copy(update={"input": values})
    save_model(tmp_path / "model", type(model)(model.network, model.plan, model.labels), origin={})
    images = tmp_path / "images"
    images.mkdir()
    draw = np.random.default_rng(0).normal(62000, 2000, (64, 64))
    cv2.imwrite(str(images / "a.png"), np.clip(draw, 0, 65535).astype(np.uint16))
    card = limner.export(
        tmp_path / "model", out=tmp_path / "out", precision="float16", size=(64, 64), images=images
    )
    assert card.agreement["relative"]["logits"] < 0.02


@pytest.mark.peer
def test_int8_is_calibrated_with_given_images(model, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    folder = pictures(tmp_path / "typical")
    card = limner.export(model, out=tmp_path / "out", precision="int8", calibrate=folder, size=(64, 64))
    assert card.agreement["images"] == f"3 images of {folder}" and card.scores is None
    assert card.agreement["labels_differ"] < 0.05


@pytest.mark.peer
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_openvino_predicts_as_the_model(run, precision, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("openvino")
    card = limner.export(run.root, to="openvino", out=tmp_path / "out", precision=precision, size=(40, 48))
    assert set(card.sha256) == {"model.xml", "model.bin", "plan.yaml", "labels.yaml"}
    limit = {"float32": 1e-3, "float16": 0.02, "int8": 0.5}[precision]
    assert card.agreement["relative"]["logits"] < limit
    picture = np.random.default_rng(1).integers(0, 256, (45, 70, 3), dtype=np.uint8)
    settings = limner.load(run.root).settings.model_copy(update={"window": (40, 48)})
    expected = limner.load(run.root, device="cpu", precision="float32", settings=settings).predict(picture)
    found = limner.load(tmp_path / "out", device="cpu").predict(picture)
    assert (found.semantic != expected.semantic).mean() < (1e-3 if precision == "float32" else 0.03)
