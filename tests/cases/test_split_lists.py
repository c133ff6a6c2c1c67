"""Lists of splits are used wherever people put them; a list that is not used is reported with the reason."""

import numpy as np
import pytest

import limner

SPLITS = {"train": (0, 1, 2, 3), "val": (4, 5), "test": (6, 7)}


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def half():
    mask = np.zeros((16, 16), np.uint8)
    mask[:, :8] = 1
    return mask


def pairs():
    names = [i for numbers in SPLITS.values() for i in numbers]
    return {f"images/im{i}.png": noise(i) for i in names} | {f"masks/im{i}.png": half() for i in names}


def lists(pattern, suffix=""):
    return {
        pattern.format(split): "".join(f"im{i}{suffix}\n" for i in numbers)
        for split, numbers in SPLITS.items()
    }


def found_splits(root):
    checked = limner.check(root)
    names = {
        split: sorted(r.name.rsplit("/")[-1] for r in records) for split, records in checked.splits.items()
    }
    return names, checked.findings


EXPECTED = {split: [f"im{i}" for i in numbers] for split, numbers in SPLITS.items()}


@pytest.mark.parametrize("suffix", ["", ".png"])
@pytest.mark.parametrize(
    "pattern",
    [
        "{}.txt",
        "splits/{}.txt",
        "split/{}_list.csv",
        "lists/{}.lst",
        "ImageSets/{}.txt",
        "ImageSets/Segmentation/{}.txt",
        "{}/images.txt",
    ],
)
def test_lists_beside_images_and_masks(tree, pattern, suffix):
    names, findings = found_splits(tree(pairs() | lists(pattern, suffix)))
    assert names == EXPECTED
    assert "split-list-not-used" not in {finding.code for finding in findings}


@pytest.mark.parametrize(
    "pattern", ["{}.txt", "splits/{}.txt", "ImageSets/{}.txt", "ImageSets/Segmentation/{}.txt"]
)
def test_lists_of_a_voc_folder(tree, pattern):
    numbers = [i for some in SPLITS.values() for i in some]
    files = {f"JPEGImages/im{i}.jpg": noise(i) for i in numbers}
    files |= {f"SegmentationClass/im{i}.png": half() for i in numbers}
    names, _ = found_splits(tree(files | lists(pattern) | {"class_names.txt": "background\nleaf\n"}))
    assert names == EXPECTED


def unused(findings):
    return [finding for finding in findings if finding.code == "split-list-not-used"]


def test_lists_that_fractions_replace_are_reported(tree):
    root = tree(pairs() | lists("{}.txt") | {"dataset.yaml": "splits: {val: 0.25}"})
    (finding,) = unused(found_splits(root)[1])
    assert set(finding.files) == {"train.txt", "val.txt", "test.txt"}
    assert "dataset.yaml sets fractions" in finding.found


def test_a_second_set_of_lists_is_reported(tree):
    other = {"splits/fold/train.txt": "im6\nim7\n", "lists_old/train.txt": "im4\nim5\n"}
    names, findings = found_splits(tree(pairs() | lists("{}.txt") | other))
    assert names == EXPECTED
    (finding,) = unused(findings)
    assert (
        set(finding.files) == set(other)
        and "the splits come from test.txt, train.txt, val.txt" in finding.found
    )


def test_lists_that_folders_contradict_are_reported_and_lists_that_agree_are_not(tree):
    files = {
        f"{split}/{kind}/im{i}.png": (noise(i) if kind == "images" else half())
        for split, numbers in SPLITS.items()
        for i in numbers
        for kind in ("images", "masks")
    }
    root = tree(files | lists("{}.txt"))
    names, findings = found_splits(root)
    assert names == EXPECTED and not unused(findings)
    (root / "train.txt").write_text("im6\nim7\n")
    (finding,) = unused(found_splits(root)[1])
    assert finding.files == ("train.txt",) and "the folders of the images give the splits" in finding.found
