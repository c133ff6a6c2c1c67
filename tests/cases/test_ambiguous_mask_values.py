"""Masks whose stored numbers do not mean the same in all files, or are blurred beyond two levels."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from limner.checks.outcome import CheckOutcome, run_checks
from limner.checks.scan import scan
from limner.core.finding import Finding, Severity
from limner.formats import open_source

COLORS = [(0, 0, 0), (255, 0, 0), (0, 255, 0)]


def checked(root: Path, **settings: str) -> CheckOutcome:
    for mask in (root / "masks").iterdir():
        shape = tifffile.imread(mask).shape if mask.suffix == ".tif" else np.shape(Image.open(mask))
        noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        (root / "images").mkdir(exist_ok=True)
        Image.fromarray(noise).save(root / f"images/{mask.stem}.png")
    (root / "dataset.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    source = open_source(root)
    return run_checks(source, scan(source))


def errors(outcome: CheckOutcome) -> dict[str, Finding]:
    return {f.code: f for f in outcome.findings if f.severity is Severity.ERROR}


def areas(outcome: CheckOutcome) -> dict[str, int]:
    return {row.name: row.pixels for row in outcome.rows}


def classes() -> np.ndarray:
    """1600 pixels: 100 of class 1, 200 of class 2."""
    values = np.zeros((40, 40), np.uint8)
    values[:10, :10], values[20:30, :20] = 1, 2
    return values


def palette_mask(path: Path, values: np.ndarray, order: list[int]) -> None:
    """Write a palette PNG with the same colours, where class k is stored as order[k]."""
    path.parent.mkdir(exist_ok=True)
    stored = Image.fromarray(np.array(order, np.uint8)[values], "P")
    palette = [(0, 0, 0)] * 3
    for value, place in enumerate(order):
        palette[place] = COLORS[value]
    stored.putpalette([channel for color in palette for channel in color])
    stored.save(path)


def test_palettes_in_another_order_are_asked_about(tmp_path: Path) -> None:
    palette_mask(tmp_path / "masks/a.png", classes(), [0, 1, 2])
    palette_mask(tmp_path / "masks/b.png", classes(), [2, 0, 1])
    outcome = checked(tmp_path)
    asked = errors(outcome)["palettes-differ"]
    assert asked.files == ("masks/b.png",)
    assert asked.proposal["mask_encoding"] == "color"
    assert [row["color"] for row in asked.proposal["classes"]] == [[0, 0, 0], [0, 255, 0], [255, 0, 0]]
    assert areas(outcome) == {"background": 2600, "class 1": 400, "class 2": 200}  # as proposed


@pytest.mark.parametrize("answer", ["index", "color"])
def test_palettes_are_not_asked_about_once_answered(tmp_path: Path, answer: str) -> None:
    palette_mask(tmp_path / "masks/a.png", classes(), [0, 1, 2])
    palette_mask(tmp_path / "masks/b.png", classes(), [2, 0, 1])
    named = {
        "color": "[" + ", ".join(f"{{name: c{i}, color: {list(c)}}}" for i, c in enumerate(COLORS)) + "]"
    }
    more = {"classes": named[answer]} if answer in named else {}
    assert errors(checked(tmp_path, mask_encoding=answer, **more)) == {}


def test_palettes_of_one_order_are_read_as_they_are(tmp_path: Path) -> None:
    palette_mask(tmp_path / "masks/a.png", classes(), [0, 1, 2])
    palette_mask(tmp_path / "masks/b.png", classes().T.copy(), [0, 1, 2])
    outcome = checked(tmp_path)
    assert errors(outcome) == {}
    assert areas(outcome) == {"class 0": 2600, "class 1": 200, "class 2": 400}


def tiff_mask(path: Path, photometric: str) -> None:
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, (classes() > 0).astype(np.uint8) * 255, photometric=photometric)


def test_inverted_masks_among_others_are_asked_about(tmp_path: Path) -> None:
    tiff_mask(tmp_path / "masks/a.tif", "minisblack")
    tiff_mask(tmp_path / "masks/b.tif", "miniswhite")
    asked = errors(checked(tmp_path))["masks-partly-inverted"]
    assert (asked.files, asked.proposal) == (("masks/b.tif",), None)
    assert "1 of 2 masks" in asked.found


def test_masks_that_are_all_inverted_are_alike(tmp_path: Path) -> None:
    for name in "ab":
        tiff_mask(tmp_path / f"masks/{name}.tif", "miniswhite")
    assert set(errors(checked(tmp_path))) == {"mask-is-0-255"}


def test_three_greys_with_soft_edges_get_no_threshold(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in "ab":
        grey = np.kron(np.array([0, 127, 255], np.uint8)[classes()], np.ones((4, 4), np.uint8))
        Image.fromarray(cv2.GaussianBlur(grey, (3, 3), 0.5)).save(tmp_path / f"masks/{name}.png")
    asked = errors(checked(tmp_path))["mask-has-soft-edges"]
    assert asked.proposal is None
    assert "most of them 0, about 127, or 255: three classes" in asked.found


def test_two_greys_with_soft_edges_get_a_threshold(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in "ab":
        grey = np.array([0, 255, 255], np.uint8)[classes()]
        Image.fromarray(cv2.GaussianBlur(grey, (5, 5), 1.0)).save(tmp_path / f"masks/{name}.png")
    asked = errors(checked(tmp_path))["mask-has-soft-edges"]
    assert 64 < asked.proposal["mask_encoding"]["threshold"] < 192
