"""Scores of label volumes of any program: in millimetres, on the grid of their images."""

import csv
import json

import numpy as np
import pytest

import limner
from limner.core.errors import ConfigError
from limner.core.picture import Geometry
from limner.formats import open_source
from limner.images.volumes.volume_writing import write_volume

SHAPE = (8, 20, 22)
AFFINE = np.array([[0, 0, 0.5, 0], [0, 0.5, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1]])
PLACE = Geometry((3.0, 0.5, 0.5), AFFINE)


def labels(shift):
    """A block of 2 x 6 x 6 voxels, moved by some slices."""
    drawn = np.zeros((*SHAPE, 1), np.uint8)
    drawn[2 + shift : 4 + shift, 5:11, 5:11] = 1
    return drawn


@pytest.fixture
def volumes(tmp_path):
    """Three cases, and predictions: one slice off, without the structure, and exact."""
    draw = np.random.default_rng(0)
    for number, found in enumerate((labels(1), np.zeros((*SHAPE, 1), np.uint8), labels(0))):
        image = draw.normal(100, 20, (*SHAPE, 1)).astype(np.int16)
        write_volume(tmp_path / "data" / "images" / f"c{number}.nii.gz", image, PLACE)
        write_volume(tmp_path / "data" / "labels" / f"c{number}.nii.gz", labels(0), PLACE)
        write_volume(tmp_path / "theirs" / f"c{number}.nii.gz", found, PLACE)
    (tmp_path / "data" / "dataset.yaml").write_text(
        "classes: [{name: background, value: 0}, {name: liver, value: 1}]\n"
    )
    return tmp_path


def scored(volumes, **options):
    result = limner.evaluate(
        predictions=volumes / "theirs", data=volumes / "data", out=volumes / "scores", **options
    )
    return result, json.loads((result.out / "scores.json").read_text())


def test_volumes_are_scored_case_by_case_in_millimetres(volumes):
    result, file = scored(volumes)
    assert file["length_unit"] == "mm" and file["spatial_dims"] == 3
    (liver,) = (row for row in file["classes"] if row["name"] == "liver")
    diagonal = np.hypot.reduce(np.multiply(SHAPE, PLACE.spacing_mm))
    # One slice of 3 mm, the diagonal for the missed one, and nothing.
    assert liver["hd95"] == pytest.approx((3 + diagonal + 0) / 3, abs=1e-5)
    assert liver["case_dice"] == pytest.approx((0.5 + 0 + 1) / 3, abs=1e-5)
    assert (liver["cases"], liver["missed_cases"], liver["false_cases"]) == (3, 1, 0)
    (background,) = (row for row in file["classes"] if row["name"] == "background")
    assert (background["cases"], background["missed_cases"], background["hd95"]) == (None, None, None)
    voxel = 3 * 0.5 * 0.5
    assert liver["volume_difference"] == pytest.approx(72 * voxel / 3, abs=1e-5)
    assert "voxel" in file["definitions"]["pixel_accuracy"] and "pixel" not in file["definitions"]["iou"]
    with (result.out / "per_image.csv").open(newline="") as rows:
        by_name = {row["name"]: row for row in csv.DictReader(rows)}
    assert float(by_name["c0"]["hd95/liver"]) == pytest.approx(3)
    assert by_name["c0"]["hd95/background"] == ""
    assert result.pictures and all(path.stat().st_size > 2000 for path in result.pictures)


def test_the_tolerance_is_one_voxel_unless_it_is_stated(volumes):
    _, file = scored(volumes)
    assert file["surface_tolerance"] is None and file["mean_surface_dice"] == pytest.approx(2 / 3, abs=1e-5)
    _, file = scored(volumes, tolerance=0.0)
    assert file["surface_tolerance"] == 0 and file["mean_surface_dice"] < 0.6
    with pytest.raises(ConfigError, match="0 or more"):
        scored(volumes, tolerance=-1.0)


def test_each_volume_is_read_once(volumes, monkeypatch):
    source, reads = type(open_source(volumes / "data")), []
    read_image = source.read_image

    def counted(self, record):
        reads.append(record.name)
        return read_image(self, record)

    monkeypatch.setattr(source, "read_image", counted)
    scored(volumes)
    assert sorted(reads) == ["c0", "c1", "c2"]


def test_a_volume_on_another_grid_is_skipped_with_the_difference(volumes):
    moved = AFFINE.copy()
    moved[2, 3] = 30.0
    write_volume(volumes / "theirs" / "c0.nii.gz", labels(1), Geometry(PLACE.spacing_mm, moved))
    coarse = Geometry((5.0, 0.5, 0.5), AFFINE @ np.diag([5 / 3, 1, 1, 1]))
    write_volume(volumes / "theirs" / "c1.nii.gz", labels(1), coarse)
    result, file = scored(volumes)
    assert file["num_images"] == 1
    reasons = {skipped.name: skipped.reason for skipped in result.skipped}
    assert "not on the grid of its image" in reasons["c0"] and "origin" in reasons["c0"]
    assert "spacing 0.5x0.5x5 mm" in reasons["c1"]


def test_images_without_spacing_have_distances_on_request(cells, tmp_path):
    masks, out = cells / "masks", tmp_path / "out"
    limner.evaluate(predictions=masks, data=cells, out=out)
    assert "hd95" not in json.loads((out / "scores.json").read_text())["classes"][1]
    with pytest.raises(ConfigError, match="Add --distances"):
        limner.evaluate(predictions=masks, data=cells, out=out, tolerance=2.0)
    limner.evaluate(predictions=masks, data=cells, out=out, distances=True)
    file = json.loads((out / "scores.json").read_text())
    assert file["mean_hd95"] == 0 and file["length_unit"] == "pixels"
    assert any("distances are in pixels" in note for note in file["notes"])


def test_the_report_of_volumes_speaks_of_voxels_and_millimetres_and_names_missed_structures(volumes):
    folder = volumes / "run"
    out = folder / "evaluation" / "val"
    limner.evaluate(predictions=volumes / "theirs", data=volumes / "data", out=out)
    page = limner.report(folder).read_text("utf-8")
    for said in (
        "HD95 (mm), by case and class",
        "Volume difference (mm³)",
        "Voxel accuracy",
        "Over all voxels",
    ):
        assert said in page
    assert "Not found in cases that have it: “liver” in 1" in page
    assert "pixel accuracy" not in page.lower()
    assert 'class="num cases" data-sort="0">–' in page  # the background is not measured
