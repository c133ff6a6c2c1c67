"""Objects, boxes and words of exports without PyTorch, as PyTorch finds them with the same network."""

import json
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from exports import write_export
from torch import nn
from torch.nn import functional as F

import limner
from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable
from limner.core.outputs import CentreOffsets, PointBoxes, QueryBoxes, QueryMasks, TextMaps
from limner.inference.exported_predictor import ExportedPredictor
from limner.inference.open_predictor import open_predictor
from limner.weights.bundle import save_model
from limner.weights.model import Model

TABLE = LabelTable(
    (
        LabelClass("cell", (1,), (255, 0, 0)),
        LabelClass("nucleus", (2,), (0, 255, 0)),
        LabelClass("tissue", (0,), (0, 0, 0), is_thing=False),
    )
)
THINGS = LabelTable(tuple(replace(each, is_thing=True) for each in TABLE.classes))
K = 3


def blobs(*size):
    """A photograph of soft blobs, which networks with random weights take for objects."""
    coarse = np.random.default_rng(0).uniform(0, 255, (size[0] // 12 + 2, size[1] // 12 + 2, 3))
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


class Maps(nn.Module):
    """Random mixtures of the channels at a quarter of the size."""

    def __init__(self, count):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.mix = nn.Conv2d(3, count, 1, bias=False)

    def forward(self, images):
        return self.mix(F.avg_pool2d(images - 0.5, 4, ceil_mode=True))


class Queries(nn.Module):
    """Each query has a class and a colour, and a mask where the image is nearly of that colour."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.classes, colors = 6 * torch.randn(12, K + 1), 3.5 * torch.rand(12, 3) - 1.5
        nearness = 0.9 - colors.square().sum(1, keepdim=True)
        self.embeddings = 2 * torch.cat((2 * colors, -torch.ones(12, 1), nearness), 1)

    def forward(self, images):
        seen = F.avg_pool2d(images, 4, ceil_mode=True)
        features = torch.cat((seen, seen.square().sum(1, keepdim=True), torch.ones_like(seen[:, :1])), 1)
        return QueryMasks(self.classes[None], self.embeddings[None], features)


class Centres(Maps):
    """Heat where the first mixture is high, and offsets of some pixels."""

    def __init__(self):
        super().__init__(K + 4)

    def forward(self, images):
        maps = super().forward(images)
        return CentreOffsets(4 * maps[:, : K + 1], maps[:, K + 1 : K + 2].sigmoid(), 3 * maps[:, K + 2 :])


class Points(Maps):
    """A box of 24 x 20 pixels around each point, moved and scored by its colours."""

    def __init__(self):
        super().__init__(K + 4)

    def forward(self, images):
        maps = super().forward(images)
        rows, columns = (4 * torch.arange(side) + 2.0 for side in maps.shape[2:])
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        points = torch.stack((x, y, torch.full_like(x, 4.0)), -1).view(-1, 3)
        flat = maps.flatten(2).transpose(1, 2)
        middle = points[:, :2] + flat[..., K : K + 2]
        half = torch.tensor([12.0, 10.0]) + flat[..., K + 2 :]
        return PointBoxes(2 * flat[..., :K], torch.cat((middle - half, middle + half), -1), points)


class BoxQueries(Maps):
    """The same few boxes, scored by the colours of the image."""

    def __init__(self):
        super().__init__(40 * K)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.boxes = torch.rand(1, 40, 4) * torch.tensor([1.0, 1.0, 0.3, 0.3])

    def forward(self, images):
        logits = super().forward(images).mean((2, 3)).view(1, 40, K)
        return QueryBoxes(3 * logits, self.boxes)


class Text(Maps):
    """Text where a mixture is high."""

    def __init__(self):
        super().__init__(1)

    def forward(self, images):
        return TextMaps(12 * super().forward(images) + 2)


LOSSES = {
    Queries: "segment_set",
    Centres: "centre_offset",
    Points: "point_boxes",
    BoxQueries: "box_set",
    Text: "differentiable_binarization",
}
KINDS = {
    Queries: QueryMasks,
    Centres: CentreOffsets,
    Points: PointBoxes,
    BoxQueries: QueryBoxes,
    Text: TextMaps,
}


@pytest.fixture
def predictions(tiny_plan, tiny_model, both):
    """Predict an image with PyTorch and without."""

    def make(task, stand_in, *, size=(90, 130), settings=None, resize=None):
        table = THINGS if task in ("detection", "text-detection") else TABLE
        model = tiny_model(labels=table)
        values = tiny_plan(labels=table).model_dump()
        values |= {"task": task, "loss": {"terms": [{"name": LOSSES[stand_in]}]}}
        values["input"]["resize"] = resize or values["input"]["resize"]
        model.plan, model.network = type(model.plan).model_validate(values), stand_in().eval()
        kind = KINDS[stand_in]
        with torch.no_grad():
            names = tuple(model(torch.zeros(1, 3, 64, 64)).tensors())
        predictors = both(model, kind=kind.__name__, outputs=names, settings=settings)
        return [predictor.predict(blobs(*size), name="a") for predictor in predictors]

    return make


WINDOW = {"window": (64, 64), "overlap": 0.4}
VIEWS = WINDOW | {"flips": True, "scales": (0.8, 1.0)}
RESIZE = {"size": [80, 100]}


@pytest.mark.parametrize(
    ("settings", "resize"),
    [({}, RESIZE), (WINDOW, None), ({"flips": True, "scales": (0.7, 1.0)}, RESIZE)],
    ids=str,
)
def test_label_maps_of_queries(predictions, settings, resize):
    expected, found = predictions("semantic", Queries, settings=settings, resize=resize)
    assert len(np.unique(expected.semantic)) == K
    assert (expected.semantic != found.semantic).mean() < 1e-3


@pytest.mark.parametrize(
    ("stand_in", "settings", "resize"),
    [
        (Queries, {}, RESIZE),
        (Queries, WINDOW, None),
        (Centres, {}, RESIZE),
        (Centres, WINDOW, None),
        (Centres, VIEWS, RESIZE),
    ],
    ids=str,
)
def test_objects(predictions, stand_in, settings, resize):
    expected, found = predictions("instance", stand_in, settings=settings, resize=resize)
    assert len(expected.labels) > 3
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-3)  # a pixel may be another's
    assert (found.masks != expected.masks).mean() < 1e-3


@pytest.mark.parametrize(
    ("stand_in", "settings", "size"),
    [(Queries, {}, (20, 41)), (Centres, {}, (90, 130)), (Centres, VIEWS, (90, 130))],
    ids=str,
)
def test_panoptic_segments(predictions, stand_in, settings, size):
    expected, found = predictions("panoptic", stand_in, settings=settings, size=size)
    assert len(expected.labels) > 1
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.is_thing, expected.is_thing)
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-3)
    assert (found.segment_ids != expected.segment_ids).mean() < 1e-3


@pytest.mark.parametrize("stand_in", [Points, BoxQueries])
@pytest.mark.parametrize("settings", [{}, WINDOW], ids=str)
def test_boxes(predictions, stand_in, settings):
    expected, found = predictions("detection", stand_in, settings=settings, resize=RESIZE)
    assert len(expected.labels) > 5
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=1e-2)


@pytest.mark.parametrize("settings", [{}, WINDOW, VIEWS], ids=str)
def test_words(predictions, settings):
    expected, found = predictions("text-detection", Text, settings=settings)
    assert len(expected.polygons) > 1
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    for ours, theirs in zip(expected.polygons, found.polygons, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=0.1)


def test_what_boxes_do_not_allow_is_refused(predictions):
    with pytest.raises(ConfigError, match="mirrored or zoomed views cannot be averaged"):
        predictions("detection", Points, settings={"flips": True})


WITHOUT_TORCH = """
import json, sys
import numpy as np

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "timm", "safetensors", "accelerate"):
            raise ModuleNotFoundError("blocked: " + name, name=name)

sys.meta_path.insert(0, Absent())
import limner
from limner.weights import exported

arrays = {name: [np.float32(each) for each in outputs] for name, outputs in json.load(sys.stdin).items()}
load = lambda path: lambda images: tuple(arrays[path.parent.name])
exported.RUNTIMES["onnx"] = exported.Runtime("a stand-in", "model.onnx", load)
for name in arrays:
    limner.predict(name, "images", out="out/" + name)
"""


def test_no_task_needs_torch(tiny_plan, tmp_path):
    """Files of all tasks are written where PyTorch cannot be imported."""
    cv2.imwrite(str(tmp_path / "a.png"), blobs(64, 64))
    (tmp_path / "images").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "images" / "a.png")
    tasks = {"instance": Queries, "panoptic": Centres, "detection": Points, "text-detection": Text}
    arrays = {}
    for task, stand_in in tasks.items():
        table = THINGS if task in ("detection", "text-detection") else TABLE
        values = tiny_plan(labels=table).model_dump()
        values |= {"task": task, "loss": {"terms": [{"name": LOSSES[stand_in]}]}}
        plan = type(tiny_plan()).model_validate(values)
        with torch.no_grad():
            found = stand_in().eval()(torch.from_numpy(blobs(64, 64)).permute(2, 0, 1)[None] / 50.0 - 2)
        kind, named = KINDS[stand_in].__name__, found.tensors()
        write_export(tmp_path / task, plan, table, kind=kind, outputs=tuple(named))
        arrays[task] = [tensor.tolist() for tensor in named.values()]
    command = [sys.executable, "-c", WITHOUT_TORCH]
    done = subprocess.run(  # noqa: S603
        command, input=json.dumps(arrays), capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    for path in ("instance/instances.json", "panoptic/panoptic.json", "detection/boxes.json"):
        assert json.loads((out / path).read_text("utf-8"))["annotations"], path
    assert (out / "text-detection" / "words.json").is_file()
    assert len([*out.glob("*/overlays/a.png")]) == len(tasks)


@pytest.mark.peer
def test_the_outputs_of_a_real_file_have_their_names(tiny_plan, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    options = {"backbone": "resnet18_width16", "channels": 16, "head_convs": 1, "extra_levels": 1}
    values = tiny_plan(labels=THINGS).model_dump()
    values |= {"task": "detection", "loss": {"terms": [{"name": "point_boxes"}]}}
    values["network"] = {"name": "fcos", "options": options}
    model = Model.from_plan(type(tiny_plan()).model_validate(values)).eval()
    save_model(tmp_path / "model", model, origin={})
    limner.export(tmp_path / "model", out=tmp_path / "export", size=(64, 64))
    theirs = open_predictor(tmp_path / "export")
    assert isinstance(theirs, ExportedPredictor)
    images = torch.from_numpy(blobs(64, 64)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        expected = model(images).tensors()
    found = theirs.outputs(images.numpy())
    assert list(found) == list(expected) == ["class_logits", "boxes", "points"]
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor.numpy(), atol=1e-2, rtol=1e-4)
