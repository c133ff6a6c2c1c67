import re

import numpy as np
import pytest

from limner.checks.facts import DatasetFacts, ImageFacts
from limner.checks.name_findings import name_findings, original_of
from limner.formats import open_source


def facts(*files: str) -> DatasetFacts:
    """Labelled images; the first folder is the split."""
    return DatasetFacts(tuple(ImageFacts(f, f.split("/")[0], image_file=f, label_file=f) for f in files))


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("cat_flip", "cat"),
        ("cat-hflip", "cat"),
        ("cat_rot90", "cat"),
        ("cat_rotated_180", "cat"),
        ("cat_aug_3", "cat"),
        ("cat_brightness_flip", "cat"),
        ("aug_7_cat", "cat"),
        ("cat (2)", "cat"),
        ("cat - Copy", "cat"),
        ("cat_jpg.rf.0a1b2c3d4e5f", "cat_jpg"),
        ("crop", None),
        ("scan_17", None),
        ("copyright_4", None),
    ],
)
def test_which_names_tell_of_augmentation(name, original):
    assert original_of(name) == original


def test_copies_in_two_splits_and_copies_in_one():
    found = name_findings(facts("train/a.png", "val/a_flip.png", "train/b.png", "train/b_rot90.png"))
    assert {f.code: f.files for f in found} == {
        "augmented-copies-in-two-splits": ("train/a.png", "val/a_flip.png"),
        "augmented-copies": ("train/b.png", "train/b_rot90.png"),
    }


def test_a_name_that_says_flip_alone_is_nobodys_copy():
    assert name_findings(facts("train/burger_flip.png", "val/dog.png")) == []


def test_files_that_a_file_manager_numbered_are_no_copies():
    numbered = [f"train/benign ({n}).png" for n in range(1, 5)] + ["val/benign (5).png"]
    assert name_findings(facts(*numbered)) == []
    (finding,) = name_findings(facts("train/cat.png", "train/cat (2).png", "train/dog.png"))
    assert finding.files == ("train/cat.png", "train/cat (2).png")


@pytest.mark.parametrize("name", ["patient{}_{}", "subj-{}/slice_{}", "0{}TP_00{}", "video{}.frame{}"])
def test_groups_in_two_splits(name):
    files = [f"train/{name.format(n, k)}.png" for n in (1, 2, 3) for k in range(4)]
    leak = f"val/{name.format(2, 9)}.png"
    rest = [f"val/{name.format(7, k)}.png" for k in range(3)]
    assert name_findings(facts(*files, *rest)) == []
    (finding,) = name_findings(facts(*files, *rest, leak))
    assert finding.code == "group-in-two-splits"
    assert leak in finding.files
    expression = re.search(r"--group '(.+)'`", finding.fix)
    assert expression, finding.fix
    # What is proposed keeps the group together and the others apart.
    key = [re.search(expression.group(1), f).groups() for f in (leak, files[4], files[0], rest[0])]
    assert key[0] == key[1]
    assert len({*key}) == 3


def test_years_and_plain_numbers_are_no_groups():
    years = [f"{'train' if k % 2 else 'val'}/2007_{k:06}.png" for k in range(20)]
    numbers = [f"{'train' if k % 2 else 'val'}/{k:06}.png" for k in range(20)]
    words = [f"{'train' if k % 2 else 'val'}/hippocampus_{k:03}.png" for k in range(20)]
    assert name_findings(facts(*years)) == []
    assert name_findings(facts(*numbers)) == []
    assert name_findings(facts(*words)) == []


def test_nothing_is_said_of_hexadecimal_names():
    rng = np.random.default_rng(0)
    files = [f"{'train' if k % 3 else 'val'}/{rng.bytes(8).hex()}.png" for k in range(60)]
    assert name_findings(facts(*files)) == []


def test_frames_of_one_drive_are_in_both_splits_of_the_street_scenes(shared_data):
    source = open_source(shared_data / "camvid")
    images = [r.image.relative_to(source.root).as_posix() for r in source.records]
    (finding,) = name_findings(facts(*images))
    assert (finding.code, finding.where) == ("group-in-two-splits", "0016E5")


def test_public_sets_without_groups_are_left_in_peace(shared_data):
    for name in ("drive", "polyps", "nuclei", "insects", "coco_instances"):
        source = open_source(shared_data / name)
        rows = [(r.image.relative_to(source.root).as_posix(), r.split) for r in source.records]
        images = tuple(ImageFacts(file, split, image_file=file, label_file=file) for file, split in rows)
        assert name_findings(DatasetFacts(images)) == [], name
