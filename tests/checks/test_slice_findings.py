"""Findings about slices of volumes: what limner takes for slices is said, what may be slices is asked."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from limner.datasets.checked import check_dataset


def write_slices(root: Path, form: str, cases: tuple[str, ...], *, smooth: bool = True) -> Path:
    """Write 8 slices of each case; slices of a smooth case change little from one to the next."""
    rng = np.random.default_rng(0)
    for case in cases:
        first, last = (cv2.GaussianBlur(rng.normal(size=(48, 48)), (0, 0), 4) for _ in range(2))
        for number in range(8):
            part = number / 7 if smooth else rng.random()
            image = (1 - part) * first + part * last if smooth else rng.normal(size=(48, 48))
            grey = np.clip(128 + 600 * image, 0, 255).astype(np.uint8)
            for folder, picture in (("images", grey), ("masks", (grey > 140).astype(np.uint8))):
                path = root / folder / f"{form.format(case, number)}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), picture)
    return root


def slices_of(root: Path) -> dict:
    checked = check_dataset(root)
    return checked, {f.code: f for f in checked.findings if "slices" in f.code}


def test_slices_are_said_and_stay_together(tmp_path: Path) -> None:
    checked, found = slices_of(write_slices(tmp_path, "{}_{:03}", ("case1", "case2", "case3")))
    assert list(found) == ["slices-of-cases"]
    assert "24 images are slices of 3 volumes" in found["slices-of-cases"].found
    cases = {split: {r.name[:5] for r in rows} for split, rows in checked.splits.items()}
    assert {split: len(names) for split, names in cases.items()} == {"train": 2, "val": 1}
    assert not any(f.code == "group-in-two-splits" for f in checked.findings)
    (tmp_path / "dataset.yaml").write_text("cases: false\n")
    checked, found = slices_of(tmp_path)
    assert not found
    assert any(f.code == "group-in-two-splits" for f in checked.findings)


@pytest.mark.parametrize(("smooth", "codes"), [(True, ["images-may-be-slices"]), (False, [])])
def test_names_alone_are_no_slices_unless_neighbours_look_alike(tmp_path, smooth, codes) -> None:
    root = write_slices(tmp_path, "{}_{:03}", ("liver", "spleen", "lung"), smooth=smooth)
    _, found = slices_of(root)
    assert list(found) == codes
    if not codes:
        return
    proposal = found["images-may-be-slices"].proposal
    answered = check_dataset(root, accept=True)
    assert answered.accepted["cases"] == proposal["cases"]
    assert set(answered.source.case_of.values()) == {"liver", "spleen", "lung"}
    assert not any(f.code == "images-may-be-slices" for f in answered.findings)


def test_an_expression_that_misses_an_image_is_an_error(tmp_path: Path) -> None:
    write_slices(tmp_path, "{}_{:03}", ("case1", "case2"))
    (tmp_path / "dataset.yaml").write_text("cases: '(case1)'\n")
    checked = check_dataset(tmp_path)
    (error,) = (f for f in checked.errors if f.code == "splits-unusable")
    assert "images/case2_000.png" in error.found
