import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source
from limner.formats.pairs.paired_folders import PairedFolders

PICTURE = np.zeros((6, 9, 3), np.uint8)
MASK = np.zeros((6, 9), np.uint8)


@pytest.fixture
def indexings(monkeypatch, tmp_path) -> list[Path]:
    """Folders that were indexed, in order; any folder is kept, whatever its size and age."""
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("limner.formats.index_cache.MIN_FILES", 0)
    monkeypatch.setattr("limner.formats.index_cache.SETTLED_NS", -(10**18))
    seen: list[Path] = []
    index = PairedFolders.index

    def counted(self: PairedFolders) -> object:
        seen.append(self.root)
        return index(self)

    monkeypatch.setattr(PairedFolders, "index", counted)
    return seen


def folder(make_tree: Callable[..., Path]) -> Path:
    pairs = {f"{kind}/{name}.png": MASK for kind in ("images", "masks") for name in "ab"}
    return make_tree(pairs | {"notes.txt": "x", "sub/b.txt": "y"})


def test_the_second_time_nothing_is_indexed(make_tree, indexings) -> None:
    root = folder(make_tree)
    first, again = open_source(root), open_source(root)
    assert len(indexings) == 1
    assert again.records == first.records
    assert type(again) is type(first)


def test_an_image_of_several_files_is_kept_whole(make_tree, indexings, monkeypatch) -> None:
    index = PairedFolders.index

    def several(self: PairedFolders) -> object:
        records, findings = index(self)
        return tuple(replace(record, more_images=record.labels) for record in records), findings

    monkeypatch.setattr(PairedFolders, "index", several)
    root = folder(make_tree)
    first, again = open_source(root), open_source(root)
    assert len(indexings) == 1
    assert again.records == first.records
    record = again.records[0]
    assert record.images == (root / "images/a.png", root / "masks/a.png")
    assert record.files == (*record.images, *record.labels)
    assert again.read_image(record).array.shape == (6, 9, 2)


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file more": lambda root: (root / "images/c.png").write_bytes(b"x"),
    "a file less": lambda root: (root / "masks/a.png").unlink(),
    "another name": lambda root: (root / "images/a.png").rename(root / "images/d.png"),
    "a folder deep down": lambda root: (root / "sub/deep").mkdir(),
    "another text": lambda root: (root / "sub/b.txt").write_text("longer"),
    "settings": lambda root: (root / "dataset.yaml").write_text("ignored: [7]"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_noticed(make_tree, indexings, change: str) -> None:
    root = folder(make_tree)
    open_source(root)
    CHANGES[change](root)
    open_source(root)
    assert len(indexings) == 2


def test_a_text_of_the_same_size_with_its_old_date_is_noticed(make_tree, indexings) -> None:
    root = folder(make_tree)
    status = (root / "notes.txt").stat()
    open_source(root)
    (root / "notes.txt").write_text("z")
    os.utime(root / "notes.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    open_source(root)
    assert len(indexings) == 2


def test_damage_and_a_cache_that_cannot_be_written_cost_an_indexing(make_tree, indexings, tmp_path) -> None:
    root = folder(make_tree)
    open_source(root)
    (kept,) = (tmp_path / "cache/index").iterdir()
    kept.write_bytes(kept.read_bytes()[:-200])
    open_source(root)
    assert len(indexings) == 2
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_text("in the way")
    open_source(root)
    assert len(indexings) == 3


def test_a_young_folder_is_not_relied_on(make_tree, indexings, monkeypatch) -> None:
    monkeypatch.setattr("limner.formats.index_cache.SETTLED_NS", 10**18)
    root = folder(make_tree)
    open_source(root)
    open_source(root)
    assert len(indexings) == 2


SQUARE = [2, 1, 5, 1, 5, 3, 2, 3]


def coco(rows: list[dict[str, object]]) -> str:
    images = [{"id": i, "file_name": f"{i}.png", "height": 6, "width": 9} for i in (1, 2)]
    whole = {"images": images, "annotations": rows, "categories": [{"id": 3, "name": "cat"}]}
    return json.dumps(whole)


def row(number: int, image: int, shift: int = 0) -> dict[str, object]:
    shape = [[value + shift * (i % 2 == 0) for i, value in enumerate(SQUARE)]]
    return {"id": number, "image_id": image, "category_id": 3, "segmentation": shape}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("spread", ["plain", "indented", "uneven"])
def test_annotations_are_found_in_any_text(make_tree, encoding: str, spread: str) -> None:
    text = coco([row(1, 2), row(2, 1, shift=4), row(3, 2, shift=1)])
    if spread == "indented":
        text = json.dumps(json.loads(text), indent=1)
    if spread == "uneven":
        text = text.replace('}, {"id": 2', '},\n\n   {"id": 2').replace('}, {"id": 3', '},{"id": 3')
    files = {"images/1.png": PICTURE, "images/2.png": PICTURE, "a.json": text.encode(encoding)}
    root = make_tree(files | {"dataset.yaml": "format: coco-instances"} if encoding == "utf-16" else files)
    if encoding == "utf-16":  # its ends hold no word that could be recognised
        from limner.formats.coco.coco_annotation_list import read_lists

        _, annotations = read_lists(root / "a.json")
        assert [r["id"] for r in annotations] == [1, 2, 3]
        return
    source = open_source(root)
    first, second = (source.read_segments(record) for record in source.records)
    assert [len(first), len(second)] == [2, 3]  # the background too
    assert first.masks()[0, 1:3, 6:9].all()
    assert second.masks()[1, 1:3, 3:6].all()


def test_a_file_that_changes_while_it_is_used_is_refused(make_tree) -> None:
    root = make_tree({"images/1.png": PICTURE, "images/2.png": PICTURE, "a.json": coco([row(1, 2)])})
    source = open_source(root)
    (root / "a.json").write_text(coco([row(1, 2), row(2, 2)]))
    with pytest.raises(DataError, match="changed since"):
        source.read_values(source.records[1])


def test_what_is_no_number_makes_one_annotation_malformed(make_tree) -> None:
    text = coco([row(1, 1), row(2, 1)]).replace("[[2, 1", "[[NaN, 1", 1)
    source = open_source(make_tree({"images/1.png": PICTURE, "images/2.png": PICTURE, "a.json": text}))
    problems = source.label_problems(source.records[0]).findings()
    assert [(f.code, f.count) for f in problems] == [("annotation-malformed", 1)]
    assert len(source.read_segments(source.records[0])) == 2
