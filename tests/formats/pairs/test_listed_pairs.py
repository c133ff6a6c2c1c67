from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source

PHOTO = np.zeros((4, 6, 3), np.uint8)
MASK = np.zeros((4, 6), np.uint8)
FILES = {f"p/{n}.png": PHOTO for n in "abc"} | {f"q/m{n}.png": MASK + i for i, n in enumerate("xyz")}


def build(make_tree, **lists: str) -> Path:
    texts: dict[str, object] = {name.replace("__", "."): text for name, text in lists.items()}
    return make_tree({**FILES, **texts})


@pytest.mark.parametrize("gap", [" ", ", ", "\t", ";"])
@pytest.mark.parametrize("before", ["", "./", "/home/other/data/", "C:\\data\\"])
def test_pairs_as_listed(make_tree, gap: str, before: str) -> None:
    def line(image: str, mask: str) -> str:
        return f"{before}p/{image}.png{gap}{before}q/m{mask}.png\n"

    root = build(make_tree, train__txt=line("a", "z") + line("b", "x"), val__txt=line("c", "y"))
    source = open_source(root)
    assert source.name == "listed-pairs"
    assert {r.name: (r.labels[0].stem, r.split) for r in source.records} == {
        "p/a": ("mz", "train"),
        "p/b": ("mx", "train"),
        "p/c": ("my", "val"),
    }
    assert source.read_values(source.records[0]).max() == 2


def test_one_list_with_headings_draws_no_split(make_tree) -> None:
    root = build(make_tree, pairs__csv="image,mask\np/a.png,q/mx.png\np/b.png,q/my.png\n")
    assert Counter(r.split for r in open_source(root).records) == {None: 2}


def test_lists_of_splits_win_over_the_list_of_all(make_tree) -> None:
    a, b = "p/a.png q/mx.png\n", "p/b.png q/my.png\n"
    root = build(make_tree, all__txt=a + b, train__txt=a, val__txt=b)
    assert {r.name: r.split for r in open_source(root).records} == {"p/a": "train", "p/b": "val"}


def test_missing_files_are_said(make_tree) -> None:
    root = build(make_tree, train__txt="p/no.png q/my.png\np/a.png q/mx.png\n\n# remark\np/b.png q/no.png\n")
    source = open_source(root)
    assert len(source.records) == 1
    (finding,) = [f for f in source.findings if f.code == "listed-file-missing"]
    assert (finding.count, finding.files[0]) == (2, "train.txt: p/no.png q/my.png")


def test_an_image_in_two_splits(make_tree) -> None:
    root = build(make_tree, train__txt="p/a.png q/mx.png\n", val__txt="p/a.png q/mx.png\n")
    with pytest.raises(DataError, match=r"two lists(.|\n)*train\.txt and val\.txt"):
        open_source(root)


def test_lists_of_names_alone_are_no_pairs(make_tree) -> None:
    tree = {"images/a.png": PHOTO, "masks/a.png": MASK, "train.txt": "a.png\n", "notes.txt": "two words\n"}
    assert open_source(make_tree(tree)).name == "paired-folders"


def test_dataset_yaml_draws_other_splits(make_tree) -> None:
    root = build(make_tree, train__txt="p/a.png q/mx.png\np/b.png q/my.png\n", mine__txt="p/b.png\n")
    (root / "val.lst").write_text("p/a.png\n")
    (root / "dataset.yaml").write_text("splits: {train: mine.txt, val: val.lst}\n")
    assert {r.name: r.split for r in open_source(root).records} == {"p/a": "val", "p/b": "train"}


def test_names_with_blanks_parted_by_a_blank(make_tree) -> None:
    files = {"my p/a 1.png": PHOTO, "my q/a 1.png": MASK, "my p/b.png": PHOTO, "my q/b.png": MASK}
    lines = "my p/a 1.png my q/a 1.png\nmy p/b.png my q/b.png\n"
    source = open_source(make_tree({**files, "train.txt": lines}))
    assert source.name == "listed-pairs"
    assert {r.name: r.labels[0].relative_to(source.root).as_posix() for r in source.records} == {
        "my p/a 1": "my q/a 1.png",
        "my p/b": "my q/b.png",
    }
