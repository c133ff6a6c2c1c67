"""Names of outputs, against a plain implementation that holds all of them."""

import os
from collections import Counter
from pathlib import Path, PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from limner.images.file_names import without_suffix
from limner.inference.output_names import named_outputs

PLACES = st.sampled_from(["/data/a", "/data/a/b", "/data/B", "/other"])
NAMES = st.sampled_from(["1.png", "1.jpg", "1.PNG", "2.nii.gz", "x.tar", "X.png", "1"])


def names_in_memory(images):
    first = {}
    for path, relative in images:
        first.setdefault(os.path.abspath(path), (path, relative))  # noqa: PTH100
    wishes = [str(without_suffix(PurePosixPath(relative))) for _, relative in first.values()]
    if len(set(wishes)) < len(wishes):
        above = os.path.commonpath([str(Path(path).parent) for path in first])
        wishes = [str(without_suffix(PurePosixPath(path).relative_to(above))) for path in first]
    times = Counter(wish.casefold() for wish in wishes)
    return [
        (path, wish if times[wish.casefold()] == 1 else f"{wish}_{Path(path).name.replace('.', '_')}")
        for (path, _), wish in zip(first.values(), wishes, strict=True)
    ]


@given(st.lists(st.tuples(PLACES, NAMES), max_size=12))
def test_names_are_those_of_all_names_in_memory(places):
    images = [(f"{folder}/{name}", name) for folder, name in places]
    assert list(named_outputs(images)) == names_in_memory(images)


def test_relative_paths_are_compared_by_where_they_lead(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    images = [("a/1.png", "1.png"), (f"{tmp_path}/a/1.png", "1.png"), ("./b/../a/1.png", "1.png")]
    assert list(named_outputs(images)) == [("a/1.png", "1")]


def test_names_that_are_not_text_are_kept():
    odd = os.fsdecode(b"\xff\xfe.png")
    assert list(named_outputs([(f"/a/{odd}", odd)])) == [(f"/a/{odd}", odd[:-4])]


def test_no_name_leads_out_of_the_output_folder():
    images = [("s3:/a/../../x.jpg", "../../x.jpg"), ("b.tar//etc/y.jpg", "/etc/y.jpg")]
    assert [output for _, output in named_outputs(images)] == ["x", "etc/y"]
