"""YOLO's text files: boxes among polygons, folders without labels, one label file for two images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.checks.outcome import run_checks
from limner.checks.scan import scan
from limner.core.errors import DataError
from limner.core.finding import Finding
from limner.formats import open_source
from limner.formats.source import Source

POLYGON = "0 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5"  # of 20 x 10: x 2 to 6, y 1 to 5, 16 pixels
BOX = "0 0.75 0.5 0.2 0.4"  # x 13 to 17, y 3 to 7, 16 pixels


def opened(root: Path, labels: dict[str, str], images: tuple[str, ...] = (), **settings: str) -> Source:
    """Write images/NAME.png and labels/NAME.txt for each label, and further images."""
    for name in (*(f"images/{name}.png" for name in labels), *images):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 256, (10, 20, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / name)
    for name, text in labels.items():
        path = root / f"labels/{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "data.yaml").write_text("names: [cell]\ntrain: images/train\nval: images/val\n")
    (root / "dataset.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
    return open_source(root)


def areas(source: Source) -> dict[str, list[int]]:
    """Pixels of each trained class and of what is ignored, by image."""
    table = source.declared_labels()
    found = {}
    for record in source.records:
        trained = table.encode(source.read_values(record))
        counts = [int((trained == k).sum()) for k in (0, 1, table.ignore_index)]
        found[record.image.name] = counts
    return found


def finding(source: Source, code: str) -> Finding:
    (found,) = [finding for finding in source.findings if finding.code == code]
    return found


def test_boxes_among_polygons_are_asked_about(tmp_path: Path) -> None:
    source = opened(tmp_path, {"a": POLYGON, "b": BOX})
    asked = finding(source, "boxes-among-masks")
    assert (asked.severity.value, asked.proposal) == ("error", {"boxes": "ignore"})
    assert asked.where == "labels/b.txt, line 1"
    assert run_checks(source, scan(source)).proposal == {"boxes": "ignore"}


@pytest.mark.parametrize(("answer", "box"), [("ignore", [184, 0, 16]), ("outline", [184, 16, 0])])
def test_the_answers(tmp_path: Path, answer: str, box: list[int]) -> None:
    source = opened(tmp_path, {"a": POLYGON, "b": BOX}, boxes=answer)
    assert areas(source) == {"a.png": [184, 16, 0], "b.png": box}
    assert source.findings == ()


def test_ignored_boxes_with_named_classes(tmp_path: Path) -> None:
    source = opened(tmp_path, {"b": BOX, "a": POLYGON}, boxes="ignore", classes="[background, cell]")
    assert areas(source)["b.png"] == [184, 0, 16]
    segments = source.declared_labels().encode_segments(source.read_segments(source.records[1]))
    assert segments.labels.tolist() == [0]  # the background; the box is no object


def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    source = opened(tmp_path, {"train/a": POLYGON}, ("images/val/b.png", "images/val/c.png"))
    found = finding(source, "folder-without-labels")
    assert (found.severity.value, found.where, found.found) == (
        "warning",
        "images/val/",
        "2 images, and no label file of their names",
    )


def test_one_label_file_for_a_jpg_and_a_png(tmp_path: Path) -> None:
    more = {name: POLYGON for name in "bcdef"}
    source = opened(tmp_path, {"a": POLYGON} | more, ("images/a.jpg",), format="yolo")
    assert areas(source) == {"a.jpg": [184, 16, 0]} | {f"{n}.png": [184, 16, 0] for n in "abcdef"}
    assert finding(source, "mask-shared-by-images").where == "labels/a.txt"


def test_polygons_with_a_confidence(tmp_path: Path) -> None:
    source = opened(tmp_path, {"a": f"{POLYGON} 0.873\n{BOX} 0.5\n"}, boxes="outline")
    assert areas(source) == {"a.png": [168, 32, 0]}
    assert source.findings == ()


def test_coordinates_in_pixels_are_an_error(tmp_path: Path) -> None:
    source = opened(tmp_path, {"a": "0 2 1 6 1 6 5 2 5"})
    found = finding(source, "coordinates-in-pixels")
    assert (found.severity.value, found.where) == ("error", "labels/a.txt, line 1")


def test_other_numbers_are_no_labels_without_names(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((10, 20, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("1 20 30 40 50")
    with pytest.raises(DataError, match="No images with masks"):
        open_source(tmp_path)


def test_names_are_text_as_written(tmp_path: Path) -> None:
    opened(tmp_path, {"a": POLYGON})
    (tmp_path / "data.yaml").write_text("names: [yes, no, 1e3, 007]\n")
    assert open_source(tmp_path).declared_labels().names == ("background", "yes", "no", "1e3", "007")
