"""Images and masks in one folder are told apart by an affix that all masks share, whatever it is."""

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def half():
    mask = np.zeros((16, 16), np.uint8)
    mask[:, :8] = 1
    return mask


@pytest.mark.parametrize(
    "mask",
    ["{}_cp_masks", "{}_mask_final", "{}-cellmap", "true_{}", "{}_leaf_mask", "mask_of_{}", "{}_seg_v"],
)
def test_masks_beside_images_with_any_affix(tree, mask):
    names = [f"cell{i:02}" for i in range(6)]
    files = {f"{name}.png": noise(i) for i, name in enumerate(names)}
    source = open_source(tree(files | {f"{mask.format(name)}.png": half() for name in names}))
    assert source.name == "paired-folders"
    assert {r.name: r.labels[0].stem for r in source.records} == {n: mask.format(n) for n in names}


def test_augmented_copies_are_no_masks(tree):
    files = {f"im{i}{end}.png": noise(2 * i + bool(end)) for i in range(6) for end in ("", "_flipped")}
    with pytest.raises(DataError, match="No images with masks"):
        open_source(tree(files))
