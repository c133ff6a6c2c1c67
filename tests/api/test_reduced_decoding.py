"""A run on JPEGs that are resized to much less, from the plan to the files of a prediction."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from limner.api.evaluate import evaluate
from limner.api.load import load
from limner.api.predict import predict
from limner.api.train import train
from limner.core.run_folder import RunFolder
from limner.planning.plan_files import read_plan
from limner.preparation.prepared_run import open_run

HEIGHT, WIDTH = 256, 320
SETTINGS = {
    "network": {"name": "unet", "options": {"widths": [4, 6]}},
    "input": {"crop_size": [48, 48], "resize": {"shortest": 48}},
    "augment": {"scale": [0.8, 1.5]},
    "train": {
        **{"steps": 2, "batch_size": 2, "validate_every": 2, "save_every": 2, "workers": 0, "trackers": []},
    },
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six JPEGs with masks; the last has an odd number of rows, so that it is decoded at full size."""
    root, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for number in range(6):
        size = (WIDTH, HEIGHT + (number == 5))
        blocks = draw.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        image = cv2.resize(blocks, size, interpolation=cv2.INTER_CUBIC)
        Image.fromarray(image).save(root / "images" / f"{number}.jpg", quality=95)
        cv2.imwrite(str(root / "masks" / f"{number}.png"), (image[..., 0] > 128).astype(np.uint8) * 255)
    (root / "dataset.yaml").write_text(
        "classes:\n- {name: background, value: 0}\n- {name: bright, value: 255}\n", "utf-8"
    )
    return root


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train(photos, run=folder, settings=SETTINGS, device="cpu")


def test_training_and_validation_read_a_quarter_of_the_pixels(run, photos):
    plan = read_plan(run.plan)
    assert plan.input.reduced_decoding is True
    assert "at a part of their size" in plan.reasons["input.reduced_decoding"]
    prepared = open_run(run)
    seen = {}
    for split in ("train", "val"):
        for dataset in (prepared.dataset(split), prepared.training_dataset(split)):
            for sample in map(dataset.__getitem__, range(len(dataset))):
                seen[sample.name] = sample.reduction
                assert sample.spatial_shape == (HEIGHT + (sample.name == "5"), WIDTH)
    assert seen == {name: 1 if name == "5" else 2 for name in seen} and len(seen) == 6


def test_scores_are_of_all_pixels_and_the_same_each_time(run, tmp_path):
    scores = json.loads((run.evaluation("val") / "scores.json").read_text("utf-8"))
    names = json.loads(run.splits.read_text("utf-8"))["val"]
    sizes = [(HEIGHT + (name == "5")) * WIDTH for name in names]
    assert sum(map(sum, scores["confusion_matrix"])) == sum(sizes)
    evaluate(run.root, split="val", out=tmp_path / "again", device="cpu")
    again = json.loads((tmp_path / "again" / "scores.json").read_text("utf-8"))
    assert again["confusion_matrix"] == scores["confusion_matrix"]


def test_files_of_a_prediction_have_the_size_of_their_image(run, photos, tmp_path):
    predict(run.root, photos / "images", out=tmp_path / "one", device="cpu")
    predict(run.root, photos / "images", out=tmp_path / "shared", device="cpu", processes=1, overlay=False)
    model = load(run.root, device="cpu")
    for path in sorted((photos / "images").iterdir()):
        mask = cv2.imread(str(tmp_path / "one" / "masks" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED)
        expected = model.predict(path).semantic
        np.testing.assert_array_equal(mask, expected * np.uint8(255))
        name = f"masks/{path.stem}.png"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "shared" / name).read_bytes()
        overlay = cv2.imread(str(tmp_path / "one" / "overlays" / f"{path.stem}.png"))
        assert overlay.shape == (*expected.shape, 3)
