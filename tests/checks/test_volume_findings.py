"""Findings about volumes on tiny files, each with one thing wrong."""

from pathlib import Path

import numpy as np
import pytest

import limner
from limner.core.picture import Geometry
from limner.images.volumes.volume_writing import write_volume

SHAPE = (10, 12, 14)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]

COS, SIN = np.cos(np.radians(5.5)), np.sin(np.radians(5.5))
TURN = np.array([[COS, SIN, 0, 0], [-SIN, COS, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
"""5.5 degrees around z."""


def geometry(affine: np.ndarray = AFFINE) -> Geometry:
    return Geometry(tuple(np.linalg.norm(affine[:3, :3], axis=0)), affine)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Twelve volumes with two classes."""
    for n in range(12):
        write_case(tmp_path, n)
    return tmp_path


def write_case(
    root: Path,
    n: int,
    *,
    place: Geometry | None = None,
    label_place: Geometry | None = None,
    factor: float = 1,
    labels: np.ndarray | None = None,
    shape: tuple[int, int, int] = SHAPE,
) -> None:
    rng = np.random.default_rng(n)
    values = np.zeros(shape, np.uint8)
    values[3:7, 4:8, 2 + n % 4 : 9] = 1
    values[4:6, 5:7, 4:6] = 2
    voxels = (factor * (rng.normal(100, 10, shape) + 200 * values)).astype(np.float32)
    place = place or geometry()
    write_volume(root / "images" / f"c{n}.nii.gz", voxels[..., None], place)
    write_volume(
        root / "labels" / f"c{n}.nii.gz",
        (values if labels is None else labels)[..., None],
        label_place or place,
    )


def codes(root: Path) -> dict[str, object]:
    return {finding.code: finding for finding in limner.check(root).findings}


def test_sound_volumes_have_no_complaint(cases: Path) -> None:
    assert {*codes(cases)} <= {"layout", "classes-unnamed"}


def test_unnamed_value_0_is_the_background_of_volumes(cases: Path) -> None:
    """Its voxels are most of a volume, and would count as a class that is found."""
    result = limner.check(cases)
    assert result.labels is not None
    assert result.labels.names == ("background", "class 1", "class 2")
    assert "called background, class 1, class 2" in codes(cases)["classes-unnamed"].found


def test_labels_elsewhere_in_space_are_errors_until_it_is_said_what_is_right(cases: Path) -> None:
    moved = AFFINE.copy()
    moved[1, 3] = 4
    write_case(cases, 3, label_place=geometry(moved))
    found = codes(cases)["label-grid-differs"]
    assert (found.severity.value, found.where) == ("error", "labels/c3.nii.gz")
    assert "4 mm from" in found.found
    (cases / "dataset.yaml").write_text("label_grid: image\n")
    assert "label-grid-differs" not in codes(cases)


@pytest.mark.parametrize(
    ("affine", "said"),
    [
        (AFFINE @ np.diag([1, 1, 2, 1.0]), "spacing 2x1x2 mm, where 1x1x2 mm"),
        (AFFINE @ np.diag([1, 1, -1, 1.0]), "orientation LAS, where RAS"),
        (
            TURN @ AFFINE,
            "turned by up to 5.5 degrees",
        ),
    ],
)
def test_what_differs_is_said(cases: Path, affine: np.ndarray, said: str) -> None:
    write_case(cases, 3, label_place=geometry(affine))
    assert said in codes(cases)["label-grid-differs"].found


def test_a_label_with_one_slice_less(cases: Path) -> None:
    labels = np.zeros((9, 12, 14), np.uint8)
    labels[3:5, 3:5, 3:5] = 1
    write_case(cases, 3, labels=labels)
    found = codes(cases)["size-mismatch"]
    assert ("14x12x9" in found.found, "14x12x10" in found.expected) == (True, True)
    assert "label_grid: resample" in found.fix
    (cases / "dataset.yaml").write_text("label_grid: resample\n")
    assert "size-mismatch" not in codes(cases)


def test_mixed_orientations_and_hands(cases: Path) -> None:
    mirrored = AFFINE @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 13], [0, 0, 0, 1.0]])
    write_case(cases, 3, place=geometry(mirrored))
    found = codes(cases)
    assert "11 RAS, 1 LAS" in found["orientations-differ"].found
    assert found["volumes-mirrored"].files == ("images/c3.nii.gz",)


def test_spacing_scale_and_thin_volumes(cases: Path) -> None:
    write_case(cases, 2, place=geometry(AFFINE @ np.diag([1000, 1000, 1000, 1.0])))
    write_case(cases, 4, factor=1e4)
    found = codes(cases)
    assert found["spacing-outlier"].where == "images/c2.nii.gz"
    assert found["intensity-scales-differ"].where == "images/c4.nii.gz"
    assert "1e+04" in found["intensity-scales-differ"].found
    write_case(cases, 5, shape=(7, 12, 14))
    assert "14x12x7" in codes(cases)["volume-thin"].found


def test_labels_of_floats(cases: Path) -> None:
    labels = np.zeros(SHAPE, np.float32)
    labels[3:7, 4:8, 3:9], labels[0, 0, 0] = 1, 0.00001
    write_case(cases, 3, labels=labels)
    assert "1 voxels of 1 labels" in codes(cases)["labels-rounded"].found
    labels[0, 0, 1] = 1.5
    write_case(cases, 3, labels=labels)
    found = codes(cases)["mask-unreadable"]
    assert "1.5 at voxel (x 1, y 0, slice 0)" in found.found


def test_the_facts_are_kept(cases: Path, monkeypatch, tmp_path_factory) -> None:
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path_factory.mktemp("cache")))
    write_case(cases, 3, place=geometry(AFFINE @ np.diag([3, 1, 1, 1.0])))
    first, again = limner.check(cases), limner.check(cases)
    assert [f.to_dict() for f in first.findings] == [f.to_dict() for f in again.findings]
    assert first.facts.images == again.facts.images


def test_everything_that_is_shown_of_volumes_counts_voxels(cases: Path, command_line) -> None:
    values = np.zeros(SHAPE, np.uint8)
    values[3:7, 4:8, 2:9] = 1
    values[4, 5, 5] = 2
    for n in range(12):
        write_case(cases, n, labels=values)
    page = cases.parent / "check.html"
    shown = command_line("check", cases, "--report", page).stdout
    assert "of the voxels" in shown and "pixel" not in shown
    text = page.read_text("utf-8")
    assert "Class voxels" in text and "All 12 volumes have 1,680 voxels" in text
