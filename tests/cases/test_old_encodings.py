"""Label files in code pages of Windows: read where file names prove the encoding, else named."""

import json

import numpy as np
import pytest

from limner.api.check import check
from limner.core.errors import DataError
from limner.formats import open_source
from limner.storage.json_files import read_json
from limner.storage.xml_files import read_xml

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
CELLS, NUCLEI = "\u7ec6\u80de", "\u7ec6\u80de\u6838"  # Chinese: cell, nucleus
PROVEN = [
    ("gbk", CELLS),
    ("cp932", "\u7d30\u80de"),
    ("cp1251", "\u043a\u043b\u0435\u0442\u043a\u0430"),
    ("cp949", "\uc138\ud3ec"),
]


def labelme(name: str, label: str) -> str:
    shapes = [{"label": label, "points": [[4, 4], [20, 4], [20, 20]], "shape_type": "polygon"}]
    whole = {"shapes": shapes, "imagePath": f"{name}.png", "imageHeight": 40, "imageWidth": 50}
    return json.dumps(whole, ensure_ascii=False)


@pytest.mark.parametrize(("codec", "word"), PROVEN)
def test_json_whose_image_names_prove_the_encoding(tree, codec, word) -> None:
    files = {f"{word}{n}.png": PICTURE for n in range(3)}
    files |= {f"{word}{n}.json": labelme(f"{word}{n}", word).encode(codec) for n in range(3)}
    source = open_source(tree(files))
    assert source.declared_labels().names == ("background", word)
    assert len(source.records) == 3 and not source.findings


def test_json_that_nothing_proves_is_named_and_not_guessed(tree) -> None:
    files = {f"{n}.png": PICTURE for n in range(3)}
    files |= {f"{n}.json": labelme(str(n), CELLS).encode("gbk") for n in range(3)}
    found = check(tree(files))
    said = [f for f in found.findings if f.code == "mask-unreadable"]
    assert len(said) == 3 and "not UTF-8" in said[0].found and "GBK (Chinese)" in said[0].found


def test_coco_in_a_code_page(tree) -> None:
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[4, 4, 20, 4, 20, 20]]}
    whole = {
        "images": [{"id": 1, "file_name": f"{CELLS}.png", "height": 40, "width": 50}],
        "categories": [{"id": 1, "name": NUCLEI}],
        "annotations": [annotation],
    }
    text = json.dumps(whole, ensure_ascii=False)
    source = open_source(tree({f"images/{CELLS}.png": PICTURE, "all.json": text.encode("gbk")}))
    assert source.declared_labels().names == ("background", NUCLEI)
    assert source.read_values(source.records[0]).any()


@pytest.mark.parametrize("declared", ["gbk", "utf-8", ""])
def test_xml_by_its_declaration_or_by_names(tree, declared) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    text = f"{head}<annotation><filename>{CELLS}.png</filename></annotation>"
    name = CELLS if declared != "gbk" else "a"
    root = tree({f"{name}.png": PICTURE, f"{name}.xml": text.encode("gbk")})
    found = read_xml(root / f"{name}.xml", root="annotation", what="It")
    assert found.findtext("filename") == f"{CELLS}.png"


@pytest.mark.parametrize("codec", ["gbk", "utf-16", "utf-8-sig"])
def test_lists_and_names_of_classes(tree, codec) -> None:
    files = {f"{CELLS}{n}.png": PICTURE for n in range(4)}
    rows = "\n".join(f"{CELLS}{n}.png,{NUCLEI}{n % 2}" for n in range(4))
    source = open_source(tree(files | {"all.csv": f"image,label\n{rows}\n".encode(codec)}))
    assert (source.name, source.declared_labels().names) == ("class-list", (f"{NUCLEI}0", f"{NUCLEI}1"))


def test_names_of_yolo_that_cannot_be_read_are_reported_rather_than_garbled(tree) -> None:
    files = {"a.png": PICTURE, "a.txt": "0 0.5 0.5 0.2 0.2\n", "obj.names": CELLS.encode("gbk")}
    source = open_source(tree(files))
    assert source.declared_labels().names == ("background", "class 0")
    assert "names-unreadable" in {finding.code for finding in source.findings}


def test_marks_of_unicode_are_read(tree) -> None:
    root = tree({"a.json": "\ufeff{}".encode(), "b.json": '{"a": "\xe4"}'.encode("utf-32")})
    assert read_json(root / "a.json", what="It", expected="JSON") == {}
    assert read_json(root / "b.json", what="It", expected="JSON") == {"a": "\xe4"}


@pytest.mark.parametrize(("codec", "word"), [("utf-8-sig", CELLS), ("utf-16", CELLS), *PROVEN])
@pytest.mark.parametrize("by_settings", [False, True])
def test_split_lists_in_any_encoding(tree, codec, word, by_settings) -> None:
    mask = np.zeros((40, 50), np.uint8)
    files = {f"images/{word}{n}.png": PICTURE for n in range(4)}
    files |= {f"masks/{word}{n}.png": mask for n in range(4)}
    for split, numbers in {"train": (0, 1, 2), "val": (3,)}.items():
        files[f"splits/{split}.txt"] = "".join(f"{word}{n}\n" for n in numbers).encode(codec)
    if by_settings:
        files["dataset.yaml"] = "splits: {train: splits/train.txt, val: splits/val.txt}"
    source = open_source(tree(files))
    assert [record.split for record in source.records] == ["train", "train", "train", "val"]


def test_a_split_list_that_is_no_text_is_named(tree) -> None:
    mask = np.zeros((40, 50), np.uint8)
    files = {f"images/{n}.png": PICTURE for n in "ab"} | {f"masks/{n}.png": mask for n in "ab"}
    files |= {"train.txt": b"a\xff\xfe\x81\n", "dataset.yaml": "splits: {train: train.txt}"}
    with pytest.raises(DataError, match="split list cannot be read[^$]*train.txt[^$]*not UTF-8[^$]*Save it"):
        open_source(tree(files))


@pytest.mark.parametrize(("codec", "word"), [("utf-16", CELLS), *PROVEN])
def test_lists_of_pairs_in_any_encoding(tree, codec, word) -> None:
    files = {f"photos/{word}{n}.png": PICTURE for n in range(3)}
    files |= {f"drawn/label{n}.png": np.zeros((40, 50), np.uint8) for n in range(3)}
    rows = "".join(f"photos/{word}{n}.png drawn/label{n}.png\n" for n in range(3))
    source = open_source(tree(files | {"train.txt": rows.encode(codec)}))
    assert source.name == "listed-pairs" and len(source.records) == 3


def _label_studio() -> str:
    corners = [[10, 10], [50, 10], [50, 50], [10, 50]]
    region = {"type": "polygonlabels", "value": {"points": corners, "polygonlabels": ["cell"]}}
    region |= {"original_width": 50, "original_height": 40}
    return json.dumps([{"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": [region]}]}])


def _create_ml() -> str:
    place = {"x": 20, "y": 10, "width": 10, "height": 10}
    return json.dumps([{"image": "a.png", "annotations": [{"label": "cell", "coordinates": place}]}])


MARKED = {
    "label-studio": ("export.json", _label_studio()),
    "create-ml": ("boxes.json", _create_ml()),
    "boxes-csv": ("boxes.csv", "filename,class,xmin,ymin,xmax,ymax\na.png,cell,5,5,25,15\n"),
    "run-length-csv": ("runs.csv", "ImageId,class,EncodedPixels\na.png,cell,5 20 45 20\n"),
    "yolo": ("a.txt", "\n0 0.5 0.5 0.4 0.5\n"),
}


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", MARKED)
def test_a_mark_of_the_encoding_hides_no_layout(tree, name, codec) -> None:
    place, text = MARKED[name]
    source = open_source(tree({"a.png": PICTURE, place: text.encode(codec), "classes.txt": "cell\n"}))
    assert (source.name, source.declared_labels().names) == (name, ("background", "cell"))
    assert source.read_values(source.records[0]).any()
