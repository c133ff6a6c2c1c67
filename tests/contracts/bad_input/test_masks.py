"""Masks that cannot be read, or do not say which class a pixel has."""

import cv2
import numpy as np
import pytest


def test_a_mask_of_zero_bytes(limner, cells):
    (cells / "masks" / "cell_03.png").write_bytes(b"")
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("mask-unreadable masks/cell_03.png", "an empty file (0 bytes)", "fix Replace it", "1 error")


def test_one_mask_in_colour_among_grey_ones(limner, cells, picture):
    mask = cv2.imread(str(cells / "masks" / "cell_03.png"))
    mask[5:10, 5:10] = (1, 2, 3)
    picture(cells / "masks" / "cell_03.png", mask)
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("mask-kinds-mixed masks/cell_03.png", "1 of 12 masks is in colour", "fix Save")


def test_all_masks_in_colour_are_offered_a_table(limner, cells, picture):
    for path in sorted((cells / "masks").iterdir()):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        picture(path, np.where(grey[..., None] > 0, (0, 0, 200), (90, 0, 0)).astype(np.uint8))
    (cells / "dataset.yaml").unlink()
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("mask-is-coloured", "#c80000", "#00005a", "Next: limner check data --accept")
    assert limner("check", "data", "--accept").code == 0


def test_masks_saved_as_jpeg(limner, cells, picture):
    for path in sorted((cells / "masks").iterdir()):
        picture(path.with_suffix(".jpg"), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        path.unlink()
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("mask-is-jpeg masks/cell_00.jpg and 11 more", "expected two values", "Accept the threshold")


def test_a_mask_of_another_size(limner, cells, picture):
    picture(cells / "masks" / "cell_03.png", np.zeros((30, 20), np.uint8))
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("size-mismatch masks/cell_03.png", "20x30", "48x40", "fix ")


def test_a_mask_of_probabilities(limner, cells):
    (cells / "masks" / "cell_03.png").unlink()
    np.save(cells / "masks" / "cell_03.npy", np.full((40, 48), 0.25, np.float32))
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("masks/cell_03.npy", "0.25 at row 0, column 0", "whole numbers", "rather than probabilities")


def test_fewer_classes_than_values(limner, cells, picture, tiny):
    mask = cv2.imread(str(cells / "masks" / "cell_03.png"), cv2.IMREAD_GRAYSCALE)
    mask[:3, :3] = 7
    picture(cells / "masks" / "cell_03.png", mask)
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says(
        "class-list-too-short masks/cell_03.png", "3 values; not named: 7", "0 (background), 255 (cell)"
    )
    limner("train", "data", *tiny).refuses("masks/cell_03.png", "not named: 7")


@pytest.mark.parametrize("value", [0, 255])
def test_masks_that_hold_one_value_only(limner, cells, picture, value):
    for path in (cells / "masks").iterdir():
        picture(path, np.full((40, 48), value, np.uint8))
    answer = limner("check", "data")
    assert answer.code == 1
    answer.says("one-value-only", f"nothing but the value {value}", "fix Check whether the right files")
