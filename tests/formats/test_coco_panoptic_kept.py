"""The index of COCO's panoptic files, as it is kept from one time to the next."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limner.formats import open_source
from limner.formats.coco.coco_panoptic import CocoPanoptic, write_panoptic_png

PICTURE = np.zeros((4, 6, 3), np.uint8)
CATEGORIES = [{"id": 5, "name": "car", "isthing": 1}, {"id": 9, "name": "sky", "isthing": 0}]
NUMBERS = {"a": [70000, 3], "b": [12], "c": []}


@pytest.fixture
def indexings(monkeypatch, tmp_path) -> list[Path]:
    """Folders that were indexed, in order; any folder is kept, whatever its size and age."""
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("limner.formats.index_cache.MIN_FILES", 0)
    monkeypatch.setattr("limner.formats.index_cache.SETTLED_NS", -(10**18))
    seen: list[Path] = []
    index = CocoPanoptic.index
    monkeypatch.setattr(CocoPanoptic, "index", lambda self: seen.append(self.root) or index(self))
    return seen


def content(**changes: object) -> str:
    """Two images with segments, a third without annotation, and an annotation of an image that is missing."""
    infos = {name: [{"id": n, "category_id": 5 if n > 10 else 9, "iscrowd": n == 12} for n in numbers]
             for name, numbers in NUMBERS.items()}  # fmt: skip
    annotations = [
        {"image_id": i, "file_name": f"{name}.png", "segments_info": infos[name]}
        for i, name in ((2, "b"), (1, "a"))
    ]
    lost = {"image_id": 7, "file_name": "z.png", "segments_info": [{"id": 1, "category_id": 5}]}
    images = [{"id": i, "file_name": f"{name}.jpg"} for i, name in enumerate("abc", start=1)]
    whole = {"images": images, "annotations": [lost, *annotations], "categories": CATEGORIES}
    return json.dumps(whole | changes)


def folder(root: Path) -> Path:
    (root / "pictures").mkdir(parents=True)
    for name, numbers in NUMBERS.items():
        (root / f"pictures/{name}.jpg").write_bytes(b"not looked at")
        if numbers:
            write_panoptic_png(root / f"panoptic_val/{name}.png", np.resize([0, *numbers], (4, 6)))
    (root / "panoptic_val.json").write_text(content())
    return root


def test_the_second_time_everything_is_as_the_first(indexings, tmp_path) -> None:
    root = folder(tmp_path / "set")
    first, again = open_source(root), open_source(root)
    assert indexings == [root]
    assert again.records == first.records
    assert [f.code for f in again.findings] == ["annotation-image-unknown"]
    assert again.findings == first.findings
    assert again.declared_labels() == first.declared_labels()
    assert (again.declared_labels().names, again.tasks) == (("car", "sky"), first.tasks)
    segments = {record.name: again.read_segments(record) for record in again.records if record.labels}
    assert {name: found.labels.tolist() for name, found in segments.items()} == {
        "pictures/a": [5, 9],
        "pictures/b": [5],
    }
    assert segments["pictures/b"].is_crowd.tolist() == [True]
    # 24 pixels in turn: none, 70000, 3.
    assert segments["pictures/a"].areas.tolist() == [8, 8]
    assert [again.label_problems(r).cases() for r in again.records if r.labels] == [
        first.label_problems(r).cases() for r in first.records if r.labels
    ]


def test_another_json_is_read_anew(indexings, tmp_path) -> None:
    root = folder(tmp_path / "set")
    open_source(root)
    renamed = [CATEGORIES[0] | {"name": "cab"}, CATEGORIES[1]]
    (root / "panoptic_val.json").write_text(content(categories=renamed))
    assert open_source(root).declared_labels().names == ("cab", "sky")
    assert len(indexings) == 2


def spoil(kept: Path, changed: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> None:
    with np.load(kept) as arrays:
        state = dict(arrays)
    with kept.open("wb") as file:
        np.savez(file, **changed(state))


SPOILT: dict[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]] = {
    "no segments": lambda state: {k: v for k, v in state.items() if k != "segments"},
    "too few places": lambda state: state | {"places": state["places"][:1]},
    "classes that are no JSON": lambda state: state | {"meta_coco": state["meta_coco"][1:]},
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_kept_index_with_parts_missing_costs_an_indexing(indexings, tmp_path, what: str) -> None:
    root = folder(tmp_path / "set")
    open_source(root)
    (kept,) = (tmp_path / "cache/index").iterdir()
    spoil(kept, SPOILT[what])
    source = open_source(root)
    assert len(indexings) == 2
    assert source.read_segments(source.records[0]).labels.tolist() == [5, 9]


def test_the_kept_index_of_another_folder_is_not_taken(indexings, tmp_path) -> None:
    one, other = folder(tmp_path / "set"), folder(tmp_path / "other")
    (other / "panoptic_val.json").write_text(content(categories=CATEGORIES[::-1]))
    for root in (one, other):
        open_source(root)
    kept = {path.name.partition("-")[0]: path for path in (tmp_path / "cache/index").iterdir()}
    shutil.copy(kept["other"], kept["set"])
    open_source(one)
    assert indexings == [one, other, one]
