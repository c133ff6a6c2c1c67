"""Volumes of mixed spacing, size and orientation, from check to prediction with a network in 3D."""

import json
from pathlib import Path

import numpy as np
import pytest

import limner
from limner.core.picture import Geometry
from limner.core.run_folder import RunFolder
from limner.images.masks import read_values
from limner.images.volumes.volume_writing import write_volume
from limner.planning.plan_files import read_plan

BOX_MM = (30.0, 48.0, 48.0)


def write_case(root: Path, n: int, *, split: str, spacing: tuple[float, ...], turned: bool = False) -> None:
    """Write CT-like values with a ball of value 4 on the left and an equal one of value 6 on the right."""
    rng = np.random.default_rng(n)
    shape = tuple(round(side / step) for side, step in zip(BOX_MM, spacing, strict=True))
    places = (np.indices(shape) + 0.5) * np.array(spacing)[:, None, None, None]
    labels = np.zeros(shape, np.uint8)
    for value, x in ((4, 14.0), (6, 34.0)):
        centre = np.array([15, 24, x]) + rng.uniform(-3, 3, 3)
        labels[((places - centre[:, None, None, None]) ** 2).sum(0) < 9**2] = value
    image = np.where(labels, 60, -80) + rng.normal(0, 20, shape)
    image[:, :2] = -1000  # air
    affine = np.diag([*spacing[::-1], 1.0])[:, [2, 1, 0, 3]]
    if turned:  # stored with x reversed, and z and y swapped
        image, labels = (np.ascontiguousarray(a[:, :, ::-1].transpose(1, 0, 2)) for a in (image, labels))
        affine = affine @ np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, shape[2] - 1], [0, 0, 0, 1.0]])
    place = Geometry(tuple(np.linalg.norm(affine[:3, :3], axis=0)), affine)
    write_volume(root / split / "images" / f"case{n}.nii.gz", image.astype(np.int16)[..., None], place)
    write_volume(root / split / "labels" / f"case{n}.nii.gz", labels[..., None], place)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    root = tmp_path_factory.mktemp("volumes")
    for n in range(10):
        spacing = ((2.0, 1.5, 1.5), (2.5, 1.5, 1.5), (2.0, 2.0, 2.0))[n % 3]
        write_case(root / "data", n, split="val" if n > 7 else "train", spacing=spacing, turned=n in (2, 8))
    names = [f"  - {{name: {name}, value: {value}}}" for name, value in NAMES.items()]
    (root / "data" / "dataset.yaml").write_text("\n".join(["classes:", *names]) + "\n")
    return limner.train(
        root / "data",
        run=root / "run",
        spatial="3d",
        network="unet",
        settings={
            "network": {"options": {"widths": [8, 16, 32], "norm": "instance"}},
            "train": {
                **{"steps": 80, "batch_size": 2, "workers": 0, "validate_every": 80},
                **{"ema_decay": None, "precision": "float32"},
            },
            "input": {"crop_size": [16, 24, 24]},
            "optimizer": {"learning_rate": 0.005},
        },
        device="cpu",
    )


NAMES = {"background": 0, "left kidney": 4, "right kidney": 6}


@pytest.mark.slow
def test_the_plan_fits_the_data(run: RunFolder) -> None:
    plan = read_plan(run.plan)
    values = plan.input
    assert (values.spacing_mm, values.resample, values.orientation) == ((2, 1.5, 1.5), True, "RAS")
    assert values.normalize_each is False
    low, high = values.clip[0]
    assert 0 < low < 60 < high < 130
    assert plan.augment.flip_axes == (0, 1)
    assert plan.augment.foreground_probability == 0.33


@pytest.mark.slow
def test_sides_are_learned_at_any_spacing(run: RunFolder) -> None:
    scores = json.loads((run.root / "evaluation" / "val" / "scores.json").read_text())
    assert scores["num_images"] == 2
    assert scores["mean_iou"] > 0.7, scores["mean_iou"]


@pytest.mark.slow
def test_predictions_have_the_grid_of_their_volumes(run: RunFolder, tmp_path: Path) -> None:
    data = Path(run.root).parent / "data" / "val"
    result = limner.predict(run.root, data / "images", out=tmp_path / "out", device="cpu")
    for mask in result.masks:
        values, truth = read_values(mask), read_values(data / "labels" / mask.name)
        assert values.shape == truth.shape
        assert {*np.unique(values)} <= {0, 4, 6}
        for value in (4, 6):
            shared = ((values == value) & (truth == value)).sum()
            assert 2 * shared / ((values == value).sum() + (truth == value).sum()) > 0.7
