"""Volumes from check to prediction with a network in two dimensions."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import limner
from limner.core.affine import axis_codes
from limner.core.picture import Geometry
from limner.core.run_folder import RunFolder
from limner.images.masks import read_values
from limner.images.read_image import read_image
from limner.images.volumes.volume_writing import write_volume

SHAPE = (9, 40, 48)
AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])[:, [2, 1, 0, 3]]


def write_case(root: Path, n: int, *, split: str, turned: bool = False) -> None:
    """Write a bright box of class 7 and a brighter one of class 9, in units that differ by case."""
    rng = np.random.default_rng(n)
    labels = np.zeros(SHAPE, np.uint8)
    y, x = rng.integers(4, 10, 2)
    labels[2:7, y : y + 24, x : x + 28] = 7
    labels[3:6, y + 4 : y + 20, x + 5 : x + 22] = 9
    levels = np.array([0, *[0] * 6, 1, 0, 2])[labels]
    image = (10.0 ** (n % 4) * (levels + rng.normal(0, 0.1, SHAPE))).astype(np.float32)
    affine = AFFINE
    if turned:  # stored with x reversed, and z and y swapped
        image, labels = (np.ascontiguousarray(a[:, :, ::-1].transpose(1, 0, 2)) for a in (image, labels))
        affine = AFFINE @ np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, SHAPE[2] - 1], [0, 0, 0, 1.0]])
    place = Geometry(tuple(np.linalg.norm(affine[:3, :3], axis=0)), affine)
    write_volume(root / split / "images" / f"case{n}.nii.gz", image[..., None], place)
    write_volume(root / split / "labels" / f"case{n}.nii.gz", labels[..., None], place)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    root = tmp_path_factory.mktemp("volumes")
    for n in range(8):
        write_case(root / "data", n, split="val" if n > 5 else "train", turned=n in (2, 7))
    names = ("background, value: 0", "case, value: 7", "core, value: 9")
    classes = "".join(f"- {{name: {name}}}\n" for name in names)
    (root / "data" / "dataset.yaml").write_text(f"classes:\n{classes}", encoding="utf-8")
    return limner.train(
        root / "data",
        run=root / "run",
        spatial="2d",
        network="unet",
        settings={
            "network": {"options": {"widths": [8, 16]}},
            "train": {
                **{"steps": 60, "batch_size": 8, "workers": 0, "validate_every": 60},
                **{"ema_decay": None, "precision": "float32"},
            },
            "input": {"slice_neighbours": 1},
            "optimizer": {"learning_rate": 0.01},
        },
        device="cpu",
    )


@pytest.mark.slow
def test_slices_are_learned_and_volumes_scored(run: RunFolder) -> None:
    from limner.planning.plan_files import read_plan

    plan = read_plan(run.plan)
    assert (plan.input.spatial_dims, plan.input.slice_axis, plan.input.orientation) == (2, 0, "RAS")
    assert (plan.input.channels, plan.input.normalize_each) == (3, True)
    import json

    scores = json.loads((run.root / "evaluation" / "val" / "scores.json").read_text())
    assert scores["num_images"] == 2
    assert scores["mean_iou"] > 0.7, scores["mean_iou"]


@pytest.mark.slow
def test_validation_decides_on_small_parts(run: RunFolder) -> None:
    from limner.api.train import resume
    from limner.planning.plan_files import read_plan
    from limner.weights.bundle import read_model_plan

    plan = read_plan(run.plan)
    assert plan.inference.largest_component is not None
    assert (
        "in 2 validation cases, keeping only the largest part" in plan.reasons["inference.largest_component"]
    )
    assert read_model_plan(run.model) == plan
    resume(run.root, device="cpu")  # the decision is no change of the plan


@pytest.mark.slow
def test_sizes_and_films_of_volumes(run: RunFolder, tmp_path: Path) -> None:
    data = Path(run.root).parent / "data" / "val"
    image = data / "images" / "case7.nii.gz"
    out = tmp_path / "out"
    result = limner.predict(
        run.root, image, out=out, compare=data, animation=True, sizes=True, probabilities=True, device="cpu"
    )
    with (out / "sizes.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    found = read_values(result.masks[0])
    for name, value in zip(sorted({row["class"] for row in rows}), (7, 9), strict=True):
        whole = next(row for row in rows if row["class"] == name and not row["part"])
        assert int(whole["voxels"]) == (found == value).sum()
        assert float(whole["mm3"]) == 3 * int(whole["voxels"])
    film = Image.open(out / "animations" / "case7.gif")
    assert film.n_frames == 9  # along the axis of the slices, wherever it is stored
    probabilities = np.load(out / "probabilities" / "case7.npy")
    assert probabilities.shape == (3, *found.shape) and probabilities.dtype == np.float16
    np.testing.assert_allclose(probabilities.astype(np.float32).sum(0), 1, atol=2e-3)


@pytest.mark.slow
def test_predictions_lie_on_their_volumes(run: RunFolder, tmp_path: Path) -> None:
    data = Path(run.root).parent / "data" / "val"
    result = limner.predict(run.root, data / "images", out=tmp_path / "out", device="cpu")
    assert [path.name for path in result.masks] == ["case6.nii.gz", "case7.nii.gz"]
    for mask in result.masks:
        image, truth = data / "images" / mask.name, read_values(data / "labels" / mask.name)
        values = read_values(mask)
        assert values.shape == truth.shape
        assert {*np.unique(values)} <= {0, 7, 9}
        assert (values == truth).mean() > 0.95
        header, other = (gzip.decompress(path.read_bytes())[:348] for path in (mask, image))
        assert header[76:108] == other[76:108]  # spacing
        assert header[252:344] == other[252:344]  # place
    codes = [axis_codes(read_image(mask).geometry.affine) for mask in result.masks]
    assert codes == ["RAS", "LSA"]
    assert (tmp_path / "out" / "overlays" / "case6.png").is_file()
