"""Label images of Cellpose, StarDist, ImageJ: each value is one object of one class."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import limner
from limner.checks.outcome import CheckOutcome, run_checks
from limner.checks.scan import scan
from limner.formats import open_source
from limner.formats.source import Source


def cells(numbers: list[int]) -> np.ndarray:
    """Objects of 3 x 3 pixels with these numbers, in rows of eight."""
    mask = np.zeros((40, 40), np.uint16)
    for place, number in enumerate(numbers):
        row, column = divmod(place, 8)
        mask[5 * row : 5 * row + 3, 5 * column : 5 * column + 3] = number
    return mask


def opened(root: Path, masks: list[np.ndarray], text: str = "") -> Source:
    for folder in ("images", "masks"):
        (root / folder).mkdir(exist_ok=True)
    for index, mask in enumerate(masks):
        noise = np.random.default_rng(index).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / f"images/{index}.png")
        tifffile.imwrite(root / f"masks/{index}.tif", mask)
    (root / "dataset.yaml").write_text(text)
    return open_source(root)


def check(source: Source) -> CheckOutcome:
    return run_checks(source, scan(source))


COUNTED = [cells([*range(1, n + 1)]) for n in (9, 12, 20)]
WITH_GAPS = [cells([n for n in range(1, 31) if n % step]) for step in (3, 4, 5)]


@pytest.mark.parametrize("masks", [COUNTED, WITH_GAPS], ids=["counted", "with gaps"])
def test_numbers_of_objects_are_asked_about(tmp_path: Path, masks: list[np.ndarray]) -> None:
    outcome = check(opened(tmp_path, masks))
    assert outcome.labels is None
    assert outcome.proposal["mask_encoding"] == "objects"
    assert outcome.proposed_labels.names == ("background", "object")
    num_pixels = sum(int((mask > 0).sum()) for mask in masks)
    assert {row.name: row.pixels for row in outcome.rows} == {
        "background": len(masks) * 1600 - num_pixels,
        "object": num_pixels,
    }


def test_objects_are_read_as_such(tmp_path: Path) -> None:
    source = opened(tmp_path, COUNTED, "mask_encoding: objects\n")
    outcome = check(source)
    assert outcome.labels.names == ("background", "object")
    assert "instance" in source.tasks
    record = source.records[0]
    assert np.unique(source.read_values(record)).tolist() == [0, 1]
    segments = source.read_segments(record)
    # The background, 1600 - 9 x 9 pixels, and nine objects.
    assert segments.areas.tolist() == [1519] + [9] * 9
    assert segments.labels.tolist() == [0] + [1] * 9
    (row,) = outcome.objects
    assert (row.name, sum(row.counts.values())) == ("object", 41)


@pytest.mark.parametrize(
    "answer",
    ["mask_encoding: index\n", f"classes: [{', '.join(f'c{i}' for i in range(21))}]\n"],
    ids=["index", "named"],
)
def test_an_answer_is_not_asked_again(tmp_path: Path, answer: str) -> None:
    codes = {finding.code for finding in check(opened(tmp_path, COUNTED, answer)).findings}
    assert "values-look-like-instances" not in codes


def test_classes_in_several_pieces_are_classes(tmp_path: Path) -> None:
    masks = [cells([*range(1, 13)] * 2) for _ in range(3)]
    assert check(opened(tmp_path, masks)).labels.num_classes == 13


MANY = 260
"""More objects than 8 bits count, and than the facts list values of."""


def many_cells(count: int) -> np.ndarray:
    """Objects of 3 x 3 pixels, in rows of thirty."""
    mask = np.zeros((4 * -(-count // 30), 120), np.uint16)
    for place in range(count):
        row, column = divmod(place, 30)
        mask[4 * row : 4 * row + 3, 4 * column : 4 * column + 3] = place + 1
    return mask


def test_hundreds_of_objects_are_checked_and_read(tmp_path: Path) -> None:
    counts = (MANY, MANY + 7, 600)
    opened(tmp_path, [many_cells(count) for count in counts])
    (asked,) = limner.check(tmp_path).errors
    assert asked.code == "values-look-like-instances" and "up to 600 values" in asked.found
    checked = limner.check(tmp_path, accept=True)
    assert not checked.errors and checked.labels.names == ("background", "object")
    (row,) = checked.objects
    assert sum(row.counts.values()) == sum(counts)
    segments = checked.source.read_segments(checked.source.records[0])
    assert segments.areas.tolist()[1:] == [9] * MANY


def test_hundreds_of_objects_are_scored(tmp_path: Path) -> None:
    """Each object is found or missed, though the AP is of the first 100 detections as in COCO."""
    root = tmp_path / "data"
    root.mkdir()
    opened(root, [many_cells(MANY)], "mask_encoding: objects\n")
    limner.convert(root, tmp_path / "coco", to="coco-instances")
    (file,) = (tmp_path / "coco/annotations").glob("*.json")
    truth = json.loads(file.read_text())
    assert len(truth["annotations"]) == MANY
    left = [row | {"score": 0.9} for place, row in enumerate(truth["annotations"]) if place % 10]
    (tmp_path / "found.json").write_text(json.dumps(truth | {"annotations": left}))
    limner.evaluate(predictions=tmp_path / "found.json", data=root, out=tmp_path / "scores")
    scores = json.loads((tmp_path / "scores/scores.json").read_text())
    # 9 of 10 objects are found, and nothing else.
    assert (scores["recall"], scores["precision"], scores["count_error"]) == (0.9, 1, MANY // 10)
