import json
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image

from limner.checks.measuring import count_values, is_grey
from limner.checks.runs import Runs
from limner.checks.scan import scan
from limner.datasets.checked import check_dataset
from limner.formats import open_source
from limner.formats.coco.coco_panoptic import write_panoptic_png
from limner.formats.drawn import Drawn
from limner.images import pixels

PANOPTIC = """{"images": [{"id": 1, "file_name": "a.png"}],
 "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 3, "category_id": 5}]}],
 "categories": [{"id": 5, "name": "car", "isthing": 1}]}"""


@pytest.fixture
def looks(monkeypatch):
    """How often each image file was read, and how often any was decoded."""
    reads, decodings, read, decode = Counter(), [], pixels._read_bytes, cv2.imdecode
    monkeypatch.setattr(pixels, "_read_bytes", lambda path: reads.update([path.name]) or read(path))
    monkeypatch.setattr(cv2, "imdecode", lambda *given: decodings.append(1) or decode(*given))
    return reads, decodings


def write(path, rng, *shape):
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), rng.integers(0, 3, shape, dtype=np.uint8))


def test_images_and_masks_are_read_and_decoded_once(tmp_path, rng, looks):
    write(tmp_path / "images/a.png", rng, 20, 30, 3)
    write(tmp_path / "masks/a_mask.png", rng, 20, 30)
    reads, decodings = looks
    scan(open_source(tmp_path))
    assert (reads, len(decodings)) == ({"a.png": 1, "a_mask.png": 1}, 2)


def test_masks_in_colour_are_decoded_once_though_nothing_says_so(tmp_path, rng, looks):
    write(tmp_path / "images/a.png", rng, 20, 30, 3)
    write(tmp_path / "masks/a.png", rng, 20, 30, 3)
    reads, decodings = looks
    (facts,) = scan(open_source(tmp_path)).images
    assert facts.label_kind == "color" and max(facts.value_counts) > 0xFFFF
    assert (reads, len(decodings)) == ({"a.png": 2}, 2)  # the image and its mask have one name


def test_the_colours_of_a_palette_are_read_without_decoding_the_mask_again(tmp_path, rng, looks):
    write(tmp_path / "images/a.png", rng, 20, 30, 3)
    mask = Image.fromarray(rng.integers(0, 3, (20, 30), dtype=np.uint8), "P")
    mask.putpalette([0, 0, 0, 10, 20, 30, 255, 0, 7])
    (tmp_path / "masks").mkdir()
    mask.save(tmp_path / "masks/b.png")
    (tmp_path / "masks/b.png").rename(tmp_path / "masks/a.png")
    reads, decodings = looks
    (facts,) = scan(open_source(tmp_path)).images
    assert facts.palette == {0: 0, 1: 0x0A141E, 2: 0xFF0007}
    assert (reads, len(decodings)) == ({"a.png": 2}, 1)  # Pillow decodes the mask, OpenCV the image


def test_panoptic_pngs_are_decoded_once_though_segments_are_checked_too(tmp_path, rng, looks):
    write(tmp_path / "images/a.png", rng, 20, 30, 3)
    (tmp_path / "panoptic_val.json").write_text(PANOPTIC)
    write_panoptic_png(tmp_path / "panoptic_val/a.png", np.full((20, 30), 3))
    reads, decodings = looks
    (facts,) = scan(open_source(tmp_path)).images
    assert facts.value_counts == {5: 600}
    assert (reads, len(decodings)) == ({"a.png": 2}, 2)  # the image and its PNG have one name


def test_headers_are_read_again_outside_a_block(tmp_path, rng, looks):
    path = tmp_path / "a.png"
    write(path, rng, 20, 30, 3)
    reads, _ = looks
    with pixels.cached_headers():
        pixels.read_pixels(path)
        assert pixels.read_header(path).shape == (20, 30)
    assert reads["a.png"] == 1
    write(path, rng, 5, 7)
    assert pixels.read_header(path).shape == (5, 7)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_runs_count_what_pixels_count(rng, dtype):
    mask = rng.integers(0, 200, (31, 47)).astype(dtype)
    if dtype == np.int32:
        mask = mask * 70_000 - 5
    found, counts = np.unique(mask, return_counts=True)
    expected = dict(zip(found.tolist(), counts.tolist(), strict=True)), len(found)
    assert count_values(mask, Runs.of(mask)) == count_values(mask) == expected


def test_one_coloured_pixel_is_colour(rng):
    grey = np.repeat(rng.integers(0, 256, (60, 70, 1), dtype=np.uint8), 3, axis=2)
    assert is_grey(grey)
    grey[33, 44, 2] ^= 1
    assert not is_grey(grey)


def test_labels_of_a_wrong_gigantic_size_are_never_drawn(tmp_path, rng, monkeypatch):
    for name in "ab":
        write(tmp_path / f"images/{name}.png", rng, 60, 90, 3)
    whole = {
        "images": [
            {"id": 1, "file_name": "a.png", "height": 25_000, "width": 40_000},
            {"id": 2, "file_name": "b.png", "height": 60, "width": 90},
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "segmentation": [[5, 5, 50, 5, 50, 50, 5, 50]]}
            for n in (1, 2)
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "all.json").write_text(json.dumps(whole))
    drawn, draw = [], Drawn.mask
    monkeypatch.setattr(Drawn, "mask", lambda one, *size: drawn.append(size) or draw(one, *size))
    result = check_dataset(tmp_path)
    (found,) = [finding for finding in result.findings if finding.code == "size-mismatch"]
    assert "40000x25000" in found.found and found.files == ("images/a.png",)
    assert drawn and {*drawn} == {(60, 90)}
