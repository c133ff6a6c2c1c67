"""Images and masks in one folder, told apart by an affix of the masks."""

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source

PHOTO = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
MASK = np.zeros((30, 40), np.uint8)
MASK[5:20, 5:20] = 1


@pytest.mark.parametrize(
    "name", ["{}_cp_masks", "{}_instance_mask", "mask_of_{}", "{}-seg-v2_mask", "{}_vessels", "lesion-{}"]
)
def test_any_affix(tree, name) -> None:
    images = {f"cell{n:02}.png": PHOTO for n in range(4)}
    source = open_source(tree(images | {f"{name.format(f'cell{n:02}')}.png": MASK for n in range(4)}))
    assert source.name == "paired-folders"
    found = {record.image.stem: record.labels[0].stem for record in source.records}
    assert found == {f"cell{n:02}": name.format(f"cell{n:02}") for n in range(4)}


def test_further_files_of_cellpose_are_no_masks(tree) -> None:
    files = {f"cell{n}.png": PHOTO for n in range(3)} | {f"cell{n}_cp_masks.png": MASK for n in range(3)}
    files |= {f"cell{n}_seg.npy": np.array({"masks": MASK}) for n in range(3)}
    files |= {f"cell{n}_cp_outlines.png": 1 - MASK for n in range(3)}
    source = open_source(tree(files))
    assert [record.labels[0].name for record in source.records] == [f"cell{n}_cp_masks.png" for n in range(3)]
    assert {f.code: f.count for f in source.findings}["other-labels-not-used"] == 6


def test_copies_of_images_are_no_masks(tree) -> None:
    images = {f"cell{n:02}{affix}.png": PHOTO for n in range(4) for affix in ("", "_flipped")}
    with pytest.raises(DataError, match="No images with masks"):
        open_source(tree(images))
