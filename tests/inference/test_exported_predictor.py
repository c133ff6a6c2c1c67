"""Exports are predicted without PyTorch as PyTorch predicts them with the same network."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from exports import write_export
from torch.nn import functional as F

from limner.core.errors import ConfigError, DataError, MissingPartError, ModelError
from limner.core.outputs import ClassLogits
from limner.core.plan import InferencePlan, ResizePlan
from limner.inference import open_predictor as opening
from limner.inference.array_runs import padded, smoothly_resized
from limner.inference.open_predictor import open_predictor
from limner.inference.sliding_window import pad_images


def image(*size, channels=3):
    return np.random.default_rng(0).integers(0, 256, (*size, channels), dtype=np.uint8)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"window": (64, 64), "overlap": 0.5},
        {"window": (64, 70), "padding": "mean"},
        {"flips": True, "scales": (0.6, 1.0, 1.3)},
        {"resize": ResizePlan(shortest=50, longest=90, multiple=8)},
        {"resize": ResizePlan(zoom=1.7), "window": (80, 80), "flips": True},
    ],
    ids=lambda settings: " ".join(settings) or "plain",
)
@pytest.mark.parametrize("size", [(90, 130), (20, 75), (1, 1)], ids=str)
def test_an_export_predicts_as_its_model(tiny_model, both, settings, size):
    ours, theirs = both(tiny_model(), settings=settings)
    picture = image(*size)
    expected, found = (each.predict(picture, name="p", probabilities=True) for each in (ours, theirs))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    sure = np.abs(expected.probabilities[0] - 0.5) > 1e-3
    without = theirs.predict(picture)
    assert without.semantic.dtype == np.uint8 and without.probabilities is None
    np.testing.assert_array_equal(without.semantic[sure], expected.semantic[sure])


@pytest.mark.parametrize("settings", [{}, {"window": (33, 34, 35), "overlap": 0.3, "flips": True}], ids=str)
def test_volumes(tiny_model, both, settings):
    model = tiny_model(channels=1, spatial_dims=3)
    ours, theirs = both(model, settings=settings, shape=("batch", 1, "depth", "height", "width"))
    volume = np.random.default_rng(0).normal(100, 50, (40, 45, 36, 1)).astype(np.float32)
    volume[:, :, :20] = 7  # windows that show nothing
    expected, found = (each.predict(volume, probabilities=True) for each in (ours, theirs))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)


@pytest.mark.parametrize("exclusive", [True, False], ids=["one class", "several"])
def test_classes_of_images(tiny_plan, tiny_model, both, exclusive):
    model = tiny_model()
    task, loss = ("classification", "cross_entropy") if exclusive else ("multilabel", "binary_cross_entropy")
    values = tiny_plan().model_dump()
    values |= {"task": task, "loss": {"terms": [{"name": loss}]}}
    values["input"]["resize"] = {"size": [40, 40]}
    model.plan = type(model.plan).model_validate(values)
    network = model.network

    class Pooled(torch.nn.Module):
        def forward(self, images):
            return ClassLogits(network(images).logits.mean((2, 3)))

    model.network = Pooled()
    ours, theirs = both(model, kind="ClassLogits", shape=(1, 3, 40, 40), settings={"flips": True})
    expected, found = (each.predict(image(70, 55)) for each in (ours, theirs))
    assert type(found) is type(expected)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 5), (4, 1), (7, 30)], ids=str)
@pytest.mark.parametrize("fill", [None, (3.0, 7.0)], ids=["reflection", "value"])
def test_padding_is_that_of_tensors(size, fill):
    picture = image(*size, channels=2).transpose(2, 0, 1)[None]
    expected = pad_images(torch.from_numpy(picture), (20, 23), fill).numpy()
    np.testing.assert_array_equal(padded(picture, (20, 23), fill), expected)


@pytest.mark.parametrize("size", [(17, 90), (100, 31), (9, 8)], ids=str)
def test_resizing_is_that_of_tensors(size):
    picture = image(40, 60).transpose(2, 0, 1)[None]
    tensor = torch.from_numpy(picture).float()
    expected = F.interpolate(tensor, size, mode="bilinear", antialias=True).numpy()
    np.testing.assert_allclose(smoothly_resized(picture, size), expected, atol=1e-3)


def test_what_an_export_cannot_do_is_refused(tiny_model, both, tmp_path):
    _, theirs = both(tiny_model(), shape=(1, 3, 64, 64), settings={"window": (50, 50)})
    with pytest.raises(DataError, match=r"one size only[\s\S]*found: +50 x 50[\s\S]*expected: +64 x 64"):
        theirs.predict(image(80, 80))
    with pytest.raises(ConfigError, match=r"Exported files run on the CPU[\s\S]*cuda"):
        open_predictor(tmp_path / "export", device="cuda")
    with pytest.raises(ConfigError, match="A window needs 2 sizes"):
        open_predictor(tmp_path / "export", settings=InferencePlan(window=(3,)))
    with pytest.raises(DataError, match="channels"):
        theirs.predict(image(80, 80, channels=5))


def test_the_file_itself_stands_for_its_folder(tiny_model, both, tmp_path):
    _, theirs = both(tiny_model())
    by_file = open_predictor(tmp_path / "export" / "model.onnx")
    assert by_file.weights_hash == theirs.weights_hash
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(b"a network")
    with pytest.raises(ModelError, match=r"not a model folder[\s\S]*export\.json"):
        open_predictor(alone)


def test_what_needs_torch_says_so(tiny_model, both, tmp_path, monkeypatch):
    both(tiny_model())
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    path = tmp_path / "export" / "export.json"
    card = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(card | {"kind": "PointBoxes"}), "utf-8")
    with pytest.raises(MissingPartError, match=r"export of semantic segmentation \(PointBoxes\)[\s\S]*torch"):
        open_predictor(tmp_path / "export")
    path.write_text(json.dumps(card | {"kind": "labels"}), "utf-8")
    with pytest.raises(ModelError, match="outputs are finished"):
        open_predictor(tmp_path / "export")
    with pytest.raises(MissingPartError, match="Predicting with a model folder"):
        open_predictor(tmp_path)


WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "timm", "safetensors", "accelerate"):
            raise ModuleNotFoundError("blocked: " + name, name=name)

sys.meta_path.insert(0, Absent())
sys.argv = ["limner", "predict", {export!r}, {images!r}, "--out", {out!r}, "--probabilities"]
{before}
from limner.cli.app import main
main()
"""

STAND_IN = """
from limner.weights import exported
load = lambda path: lambda images: (images[:, :2] - 128,)
exported.RUNTIMES["onnx"] = exported.Runtime("a stand-in", "model.onnx", load)
"""


def predict_without_torch(export, images, out, before=""):
    script = WITHOUT_TORCH.format(export=str(export), images=str(images), out=str(out), before=before)
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def test_the_command_needs_no_torch(tiny_model, tmp_path):
    model = tiny_model()
    folder = write_export(tmp_path / "export", model.plan, model.labels)
    (tmp_path / "images").mkdir()
    picture = image(40, 50)
    cv2.imwrite(str(tmp_path / "images" / "a.png"), picture[..., ::-1])
    done = predict_without_torch(folder, tmp_path / "images", tmp_path / "out", STAND_IN)
    assert done.returncode == 0, done.stderr
    mask = cv2.imread(str(tmp_path / "out" / "masks" / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, np.where(picture[..., 1] > picture[..., 0], 255, 0))
    assert (tmp_path / "out" / "overlays" / "a.png").is_file()
    assert np.load(tmp_path / "out" / "probabilities" / "a.npy").shape == (2, 40, 50)


@pytest.mark.peer
def test_an_onnx_file_is_predicted_without_torch(tiny_model, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    import limner
    from limner.weights.bundle import save_model

    save_model(tmp_path / "model", tiny_model(), origin={})
    limner.export(tmp_path / "model", out=tmp_path / "export", size=(64, 64))
    (tmp_path / "images").mkdir()
    for number, size in enumerate([(40, 50), (100, 70)]):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image(*size))
    limner.predict(
        tmp_path / "model",
        tmp_path / "images",
        out=tmp_path / "ours",
        device="cpu",
        precision="float32",
        probabilities=True,
        settings=InferencePlan(window=(64, 64)),
    )
    done = predict_without_torch(tmp_path / "export" / "model.onnx", tmp_path / "images", tmp_path / "theirs")
    assert done.returncode == 0, done.stderr
    for number in range(2):
        names = (f"masks/{number}.png", f"probabilities/{number}.npy")
        masks = [cv2.imread(str(tmp_path / who / names[0]), -1) for who in ("ours", "theirs")]
        chances = [np.load(tmp_path / who / names[1]).astype(np.float32) for who in ("ours", "theirs")]
        np.testing.assert_allclose(chances[1], chances[0], atol=2e-3)  # float16 in the files
        assert (masks[0] != masks[1]).mean() < 1e-3
