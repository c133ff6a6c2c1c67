"""From a labelling tool to a model and back: predictions as drafts that the tool opens and `check` reads."""

import csv
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import limner
from limner.core.errors import ConfigError, DataError, UnknownNameError
from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import Picture
from limner.core.prediction import BoxPrediction, SegmentPrediction
from limner.formats import open_source
from limner.inference.image_paths import ImagePath
from limner.inference.tool_drafts import TOOLS, drafts_for
from limner.tasks import find_task

SIDE = 48
SETTINGS = {
    "train": {
        **{"steps": 50, "batch_size": 4, "validate_every": 50, "save_every": 50, "workers": 0},
        **{"ema_decay": None, "trackers": [], "precision": "float32"},
    },
    "input": {"crop_size": [SIDE, SIDE]},
    "network": {"options": {"widths": [8, 12]}, "norm": "group"},
    "optimizer": {"learning_rate": 0.03},
    "schedule": {"name": "constant", "warmup_steps": 0},
    "augment": {"scale": [1, 1], "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0},
}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Six pictures of a bright square and a dark diamond, drawn with labelme."""
    root = tmp_path_factory.mktemp("labelme")
    for number in range(6):
        draws = np.random.default_rng(number)
        picture = draws.integers(100, 140, (SIDE, SIDE, 3), dtype=np.uint8)
        x, y = draws.integers(3, 8, 2).tolist()
        square = [[x, y], [x + 14, y], [x + 14, y + 14], [x, y + 14]]
        diamond = [[32, 22 + y], [42, 32 + y], [32, 42 + y], [22, 32 + y]]
        cv2.fillPoly(picture, [np.array(square) - [[0, 0], [1, 0], [1, 1], [0, 1]]], (250, 250, 250))
        cv2.fillPoly(picture, [np.array(diamond)], (10, 10, 10))
        shapes = [
            {"label": label, "points": points, "shape_type": "polygon", "flags": {}}
            for label, points in (("bright thing", square), ("dark", diamond))
        ]
        content = {"shapes": shapes, "imagePath": f"{number}.png", "imageHeight": SIDE, "imageWidth": SIDE}
        (root / f"{number}.json").write_text(json.dumps(content | {"imageData": None}))
        cv2.imwrite(str(root / f"{number}.png"), picture)
    return root


@pytest.fixture(scope="module")
def model(labelled, tmp_path_factory):
    run = tmp_path_factory.mktemp("trained") / "run"
    limner.train(labelled, run=run, task="semantic", network="unet", settings=SETTINGS, device="cpu")
    return limner.load(run, device="cpu")


@pytest.fixture(scope="module")
def images(labelled, tmp_path_factory):
    """The pictures alone, as they are before anybody labels them."""
    root = tmp_path_factory.mktemp("new")
    for path in labelled.glob("*.png"):
        (root / path.name).write_bytes(path.read_bytes())
    return root


@pytest.mark.parametrize("tool", TOOLS)
def test_what_a_model_found_is_read_back_by_its_names(model, images, tmp_path, tool: str) -> None:
    result = limner.predict(model, images, out=tmp_path / "drafts", to=tool, tolerance=0.5)
    assert (result.num_predicted, result.failures) == (6, ())
    checked = limner.check(result.out)
    assert not checked.errors
    assert checked.source.name == TOOLS[tool][0]
    assert checked.labels.names == ("background", "bright thing", "dark")
    assert [image.is_labelled for image in checked.facts.images] == [True] * 6
    hits = pixels = 0
    for record in checked.source.records:
        found = checked.labels.encode(checked.source.read_values(record))
        expected = model.predict(images / record.image.name).semantic
        hits, pixels = hits + (found == expected).sum(), pixels + expected.size
    assert hits / pixels > 0.98
    assert tool == "voc" or result.fidelity.mean_iou > 0.9
    assert {path.name for path in result.out.rglob("*.png")} >= {f"{n}.png" for n in range(6)}


def test_the_table_has_a_score_and_an_overlap_of_each_object(model, images, tmp_path) -> None:
    result = limner.predict(model, images, out=tmp_path / "drafts", to="labelme")
    with result.csv.open() as file:
        rows = [*csv.DictReader(file)]
    assert len(rows) == result.fidelity.num_objects
    overlaps = [float(row["iou"]) for row in rows]
    assert result.fidelity.mean_iou == pytest.approx(np.mean(overlaps), abs=1e-6)
    assert result.fidelity.least_iou == min(overlaps)
    shapes = [
        shape
        for number in sorted({row["image"] for row in rows})
        for shape in json.loads((result.out / f"{number}.json").read_text())["shapes"]
    ]
    assert [shape["label"] for shape in shapes] == [row["class"] for row in rows]
    for shape, row in zip(shapes, rows, strict=True):
        assert float(shape["description"]) == pytest.approx(float(row["score"]), abs=6e-4)
    # The score of a part is the mean probability of its class.
    found = model.predict(images / "0.png", probabilities=True)
    where = found.semantic == 1
    (own, *_) = [row for row in rows if row["image"] == "0" and row["class"] == "bright thing"]
    if len([row for row in rows if row["image"] == "0" and row["class"] == "bright thing"]) == 1:
        assert float(own["score"]) == pytest.approx(found.probabilities[1][where].mean(), abs=1e-4)


def test_a_tolerance_of_nothing_keeps_every_pixel(model, images, tmp_path) -> None:
    result = limner.predict(model, images / "1.png", out=tmp_path / "drafts", to="coco", tolerance=0)
    assert result.fidelity.least_iou == 1
    source = open_source(result.out)
    expected = model.predict(images / "1.png").semantic
    np.testing.assert_array_equal(source.read_values(source.records[0]), expected)


def stub(task: str, prediction: object, labels: LabelTable) -> SimpleNamespace:
    """A model that always finds the same."""
    plan = SimpleNamespace(loss=SimpleNamespace(terms=()), input=SimpleNamespace(takes_volumes=False))
    return SimpleNamespace(
        task=find_task(task), labels=labels, plan=plan, predict=lambda *_, **__: prediction
    )


LABELS = LabelTable(
    (LabelClass("cat", (1,), (255, 0, 0), is_thing=True), LabelClass("dog", (2,), (0, 0, 255), is_thing=True))
)


def written(predictor, tool, tmp_path, picture):
    """Write one image, and return the opened folder."""
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), picture)
    item = ImagePath(path, "a")
    drafts = drafts_for(predictor, [item], tmp_path / "out", tool=tool, tolerance=0)
    entry = drafts.write(item, Picture(picture))
    drafts.finish([entry])
    return open_source(tmp_path / "out"), entry


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool != "voc"])
def test_objects_keep_masks_and_classes(tmp_path, tool: str) -> None:
    masks = np.zeros((3, 30, 40), bool)
    masks[0, 2:12, 3:20] = masks[1, 15:25, 5:15] = masks[2, 20:29, 20:30] = True
    found = SegmentPrediction("a", masks, np.array([1, 0, 1]), np.float32([0.9, 0.6, 0.4]))
    source, entry = written(stub("instance", found, LABELS), tool, tmp_path, np.zeros((30, 40, 3), np.uint8))
    assert [row[2:4] for row in entry["objects"]] == [["dog", 0.9], ["cat", 0.6]]
    (record,) = source.records
    segments, table = source.read_segments(record), source.declared_labels()
    names = [next(c.name for c in table.classes if label in c.values) for label in segments.labels.tolist()]
    assert names == ["dog", "cat", "background"], "what no object covers is no object, and not ignored"
    np.testing.assert_array_equal(segments.masks()[:2], masks[:2])


def test_small_objects_are_left_out_and_counted(tmp_path) -> None:
    masks = np.zeros((2, 30, 40), bool)
    masks[0, 2:12, 3:20], masks[1, 20:22, 5:15] = True, True  # 170 and 20 pixels
    found = SegmentPrediction("a", masks, np.array([1, 0]), np.float32([0.9, 0.6]))
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((30, 40, 3), np.uint8))
    item, predictor = ImagePath(path, "a"), stub("instance", found, LABELS)
    drafts = drafts_for(predictor, [item], tmp_path / "out", tool="coco", least_pixels=21)
    entry = drafts.write(item, Picture(np.zeros((30, 40, 3), np.uint8)))
    fidelity = drafts.finish([entry])
    assert (fidelity.num_objects, fidelity.num_small) == (1, 1)
    with pytest.raises(ConfigError, match="--min-pixels"):
        drafts_for(predictor, [item], tmp_path / "out", tool="coco", least_pixels=-1)


@pytest.mark.parametrize("tool", TOOLS)
def test_boxes_stay_boxes(tmp_path, tool: str) -> None:
    xyxy = np.float32([[3, 2, 20, 12.5], [5, 15, 15, 25], [1, 1, 9, 9]])
    found = BoxPrediction("a", xyxy, np.array([1, 0, 1]), np.float32([0.9, 0.6, 0.4]), (30, 40))
    source, entry = written(stub("detection", found, LABELS), tool, tmp_path, np.zeros((30, 40, 3), np.uint8))
    assert source.tasks == ("detection",)
    assert [row[-1] for row in entry["objects"]] == [None, None]
    np.testing.assert_allclose(source.read_boxes(source.records[0]).xyxy, xyxy[:2], atol=1e-3)


def test_what_makes_no_sense_is_refused_before_anything_is_written(run, cells, tmp_path) -> None:
    image, out = cells / "images" / "cell_0.png", tmp_path / "out"
    with pytest.raises(
        UnknownNameError, match=r"labelling tool named 'label-me' \(did you mean 'labelme'\?\)"
    ):
        limner.predict(run.root, image, out=out, to="label-me", device="cpu")
    with pytest.raises(
        ConfigError, match="--to writes a dataset.*--probabilities, --sort|--probabilities has"
    ):
        limner.predict(run.root, image, out=out, to="coco", probabilities=True, device="cpu")
    for option, value in (("tolerance", -1.0), ("min_score", 1.5)):
        with pytest.raises(ConfigError, match=f"--{option.replace('_', '-')} is a number"):
            limner.predict(run.root, image, out=out, to="coco", device="cpu", **{option: value})
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("notes")
    with pytest.raises(DataError, match="needs a folder of its own"):
        limner.predict(run.root, image, out=out, to="coco", device="cpu")
    with pytest.raises(ConfigError, match="task is 'classification'"):
        drafts_for(stub("classification", None, LABELS), [], out, tool="coco")


def test_an_interrupted_draft_continues(run, cells, tmp_path, monkeypatch) -> None:
    whole = limner.predict(run.root, cells / "images", out=tmp_path / "whole", to="cvat", device="cpu")
    seen = []

    def interrupting(images, description, total):
        for number, image in enumerate(images):
            if number == 3:
                raise KeyboardInterrupt
            seen.append(image)
            yield image

    with pytest.raises(KeyboardInterrupt):
        limner.predict(
            run.root, cells / "images", out=tmp_path / "cut", to="cvat", device="cpu", track=interrupting
        )
    with pytest.raises(DataError, match="unfinished|interrupted|not finished"):
        limner.check(tmp_path / "cut")
    limner.predict(run.root, cells / "images", out=tmp_path / "cut", to="cvat", device="cpu", resume=True)
    files = sorted(path.relative_to(whole.out) for path in whole.out.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "cut") for path in (tmp_path / "cut").rglob("*") if path.is_file()
    )
    for path in files:
        assert (whole.out / path).read_bytes() == (tmp_path / "cut" / path).read_bytes()


@pytest.mark.parametrize("option", [{"tolerance": 0.5}, {"min_score": 0.7}, {"min_pixels": 5}])
def test_options_of_drafts_are_not_ignored_without_a_tool(run, cells, tmp_path, option) -> None:
    (name,) = option
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} has no effect without --to"):
        limner.predict(run.root, cells / "images", out=tmp_path / "out", device="cpu", **option)
    assert not (tmp_path / "out").exists()
