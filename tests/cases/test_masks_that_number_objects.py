"""Label images of Cellpose, StarDist, ImageJ: each value is one object; and classes of one piece each."""

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


SIDE = 128


def discs(objects: list[tuple[int, float, float, float]]) -> np.ndarray:
    """A mask of discs: value, row, column, radius; the first is on top."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    mask = np.zeros((SIDE, SIDE), np.uint16)
    for value, row, column, radius in objects:
        inside = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        mask[inside & (mask == 0)] = value
    return mask


def spine(draw: np.random.Generator, num_classes: int = 20) -> np.ndarray:
    """A slice of a spine: vertebrae 1 to 10 from below, discs 11 to 19; the upper may be cut off."""
    first, seen = draw.uniform(108, 118), int(draw.integers(7, 11))
    column, step = draw.uniform(55, 75), draw.uniform(10.5, 12)
    bones = [(k + 1, first - k * step, column + draw.normal(0, 2), 4.4) for k in range(seen)]
    soft = [(11 + k, first - (k + 0.5) * step, column + draw.normal(0, 2), 2.2) for k in range(seen - 1)]
    return discs([one for one in bones + soft if one[0] < num_classes])


PLACES = np.random.default_rng(7).permutation(
    [(y, x) for y in range(15, 120, 24) for x in range(15, 120, 24)]
)
RADII = np.random.default_rng(8).uniform(3, 11, 25)


def organs(draw: np.random.Generator, num_classes: int = 13) -> np.ndarray:
    """A body with 12 organs of their own places and sizes, of which a few are not in the picture."""
    shift = draw.normal(0, 5, 2)
    shown = [k for k in range(num_classes - 1) if draw.random() > 0.2]
    return discs([(k + 1, *(PLACES[k] + shift + draw.normal(0, 3, 2)), RADII[k] * draw.uniform(0.85, 1.2))
                  for k in shown])  # fmt: skip


def face(draw: np.random.Generator) -> np.ndarray:
    """Eyes, brows, ears, nose, lips, neck and hair over a face: 10 values, all in every image."""
    y, x = draw.normal(0, 8, 2) + 64
    zoom = draw.uniform(0.7, 1.1)
    parts = [
        *((2, -12, -14, 5), (3, -12, 14, 5), (4, -22, -14, 4), (5, -22, 14, 4), (6, 0, 0, 6)),
        *((7, 14, 0, 4), (8, 23, 0, 4), (9, -2, -36, 6), (10, -2, 36, 6), (1, 0, 0, 33)),
    ]
    return discs([(value, y + zoom * a, x + zoom * b, zoom * radius) for value, a, b, radius in parts])


def blobs(draw: np.random.Generator, count: int) -> list[tuple[float, float, float]]:
    """Cells that do not touch: row, column, radius, by rows."""
    cells: list[tuple[float, float, float]] = []
    while len(cells) < count:
        y, x, radius = draw.uniform(8, SIDE - 8), draw.uniform(8, SIDE - 8), draw.uniform(2.5, 5)
        if all((y - a) ** 2 + (x - b) ** 2 > (radius + r + 2) ** 2 for a, b, r in cells):
            cells.append((y, x, radius))
    return sorted(cells)


def numbered(draw: np.random.Generator, least: int = 15, most: int = 35) -> np.ndarray:
    """Cells numbered by rows, as by ImageJ and Cellpose."""
    return discs([(k, *cell) for k, cell in enumerate(blobs(draw, int(draw.integers(least, most))), start=1)])


def removed(draw: np.random.Generator) -> np.ndarray:
    """Cells numbered by rows of which those at the border were removed."""
    cells = enumerate(blobs(draw, int(draw.integers(20, 36))), start=1)
    return discs([(k, *cell) for k, cell in cells if min(cell[:2]) > 20 and max(cell[:2]) < SIDE - 20])


def scored(draw: np.random.Generator) -> np.ndarray:
    """Cells numbered by their score, as by StarDist, of which some were removed."""
    cells = blobs(draw, 24)
    numbers = draw.permutation(24)[:18] + 1
    return discs([(int(k), *cells[i]) for k, i in zip(numbers, draw.permutation(24), strict=False)])


def few(draw: np.random.Generator) -> np.ndarray:
    """One to six cells, numbered by rows."""
    return numbered(draw, 1, 7)


def frames(make, count: int = 12, seed: int = 0) -> list[np.ndarray]:
    return [make(np.random.default_rng([seed, index])) for index in range(count)]


@pytest.mark.parametrize("make", [spine, organs, face])
@pytest.mark.parametrize("seed", range(3))
def test_values_of_one_place_and_size_are_classes(tmp_path: Path, make, seed: int) -> None:
    masks = frames(make, seed=seed)
    outcome = check(opened(tmp_path, masks))
    num_classes = len(set(np.unique(np.stack(masks))))
    assert outcome.labels is not None and outcome.labels.num_classes == num_classes
    (warned,) = [one for one in outcome.findings if one.code == "values-read-as-classes"]
    assert "classes" in warned.found and "mask_encoding: objects" in warned.fix


@pytest.mark.parametrize("make", [numbered, removed, scored, few])
@pytest.mark.parametrize("seed", range(3))
def test_values_of_any_place_and_size_are_objects(tmp_path: Path, make, seed: int) -> None:
    outcome = check(opened(tmp_path, frames(make, seed=seed)))
    assert outcome.labels is None and outcome.proposal["mask_encoding"] == "objects"


def test_crops_of_one_numbered_image_are_objects(tmp_path: Path) -> None:
    masks = [numbered(np.random.default_rng(index)) + np.uint16(40 * index) for index in range(8)]
    masks = [np.where(mask % 40 == 0, 0, mask).astype(np.uint16) for mask in masks]
    assert check(opened(tmp_path, masks)).proposal["mask_encoding"] == "objects"


def test_tracks_of_a_video_are_not_classes_without_a_word(tmp_path: Path) -> None:
    """A track has one number in all frames, so only the user knows; the other reading is named."""
    draw = np.random.default_rng(0)
    cells = [np.array(cell) for cell in blobs(draw, 14)]
    masks = []
    for _ in range(10):
        cells = [cell + [*draw.normal(0, 2, 2), 0] for cell in cells]
        masks.append(discs([(k, *cell) for k, cell in enumerate(cells, start=1)]))
    told = [one for one in check(opened(tmp_path, masks)).findings if "mask_encoding: objects" in one.fix]
    assert [one.code for one in told][0] in ("values-read-as-classes", "values-look-like-instances")


def test_named_classes_are_not_asked_about(tmp_path: Path) -> None:
    names = ", ".join(f"c{value}" for value in range(20))
    codes = {one.code for one in check(opened(tmp_path, frames(spine), f"classes: [{names}]\n")).findings}
    assert not codes & {"values-read-as-classes", "values-look-like-instances"}


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
