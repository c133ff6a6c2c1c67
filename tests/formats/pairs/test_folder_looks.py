import numpy as np
import pytest

from limner.formats import open_source
from limner.formats.pairs.folder_looks import has_few_colours

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)
XRAY = RNG.integers(0, 256, (24, 32), dtype=np.uint8)
MASK = np.kron(RNG.integers(0, 3, (6, 8), dtype=np.uint8), np.ones((4, 4), np.uint8))
COLOURED = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)[MASK]

FOLDERS = {
    "another language": ("Bilder/{n}.png", "Masken/{n}.png"),
    "a word of one's own": ("my images/{n}.png", "my masks/{n}.png"),
    "a challenge": (
        "ISIC2018_Task1-2_Training_Input/{n}.png",
        "ISIC2018_Task1_GroundTruth/{n}_segmentation.png",
    ),
    "one of two is known": ("CXR_png/{n}.png", "masks/{n}_mask.png"),
    "below splits": ("train/Bilder/{n}.png", "train/Masken/{n}.png"),
}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("number", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("side", [15, 300])
def test_few_colours_are_64_or_fewer_wherever_they_are(channels, number, side):
    """The last pixels have colours of their own, which a sample of a large image does not see."""
    pixels = np.zeros((side, side, channels), np.uint16)
    pixels.reshape(-1, channels)[1 - number :, -1] = np.arange(1, number) if number > 1 else 0
    assert len(np.unique(pixels.reshape(-1, channels), axis=0)) == number
    assert has_few_colours(pixels) == (number <= 64)


@pytest.mark.parametrize("pattern", FOLDERS.values(), ids=FOLDERS)
@pytest.mark.parametrize(("image", "mask"), [(PHOTO, MASK), (XRAY, COLOURED)])
def test_folders_whose_names_say_nothing(make_tree, pattern, image, mask) -> None:
    files = {p.format(n=f"x{n}"): a for n in range(4) for p, a in zip(pattern, (image, mask), strict=True)}
    source = open_source(make_tree(files))
    assert source.name == "paired-folders"
    assert [(r.image.name, len(r.labels)) for r in source.records] == [(f"x{n}.png", 1) for n in range(4)]
    assert "recognised by its few colours" in source.findings[0].found
    assert "recognised by its few colours" in (type(source).recognise(source.root, source.settings) or "")


def test_splits_in_the_names(make_tree) -> None:
    names = [f"ISIC_{split}_{kind}" for split in ("Training", "Validation") for kind in ("Input", "Truth_1")]
    files = {f"{name}/{n}.png": MASK if "Truth" in name else PHOTO for name in names for n in range(3)}
    source = open_source(make_tree(files))
    assert sorted(str(r.split) for r in source.records) == ["train"] * 3 + ["val"] * 3


@pytest.mark.parametrize("second", [PHOTO, XRAY])
def test_classes_that_number_their_photos_alike_stay_classes(make_tree, second) -> None:
    files = {f"{name}/{n}.png": a for name, a in (("cats", PHOTO), ("dogs", second)) for n in range(4)}
    assert open_source(make_tree(files)).name == "class-folders"


def test_drawings_of_few_colours_are_no_masks_of_each_other(make_tree) -> None:
    files = {f"{name}/{n}.png": MASK for name in ("circles", "squares") for n in range(4)}
    assert open_source(make_tree(files)).name == "class-folders"
