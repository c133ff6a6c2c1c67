import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source

PICTURE = np.zeros((6, 9, 3), np.uint8)
IMAGES = {f"jpg/image_{n}.png": PICTURE for n in (1, 2, 3)}


def classes(source) -> dict[str, str]:
    names = source.declared_labels().names
    return {record.image.stem: names[source.read_class(record)] for record in source.records}


WORDS = {"image_1": "rose", "image_2": "tulip", "image_3": "rose"}
LISTS = {
    "spaces": "jpg/image_1.png rose\njpg/image_2.png tulip\njpg/image_3.png rose\n",
    "commas, other folders": "/home/x/jpg/image_1.png,rose\nC:\\d\\image_2.png,tulip\nimage_3.png,rose",
    "a heading": "id;filename;label\n7;image_1.png;rose\n8;image_2.png;tulip\n9;image_3.png;rose",
    "no suffix": "image,diagnosis\nimage_1,rose\nimage_2,tulip\nimage_3,rose",
    "a column a class": "image,rose,tulip\nimage_1,1.0,0.0\nimage_2,0.0,1.0\nimage_3,1.0,0.0",
    "comments and empty lines": "# mine\n\nimage_1.png rose\nimage_2.png tulip\n\nimage_3.png rose\n",
    "names beside numbers": "image,label,label_name\nimage_1,5,rose\nimage_2,9,tulip\nimage_3,5,rose",
    "a byte order mark": "\ufeffimage_1.png\trose\nimage_2.png\ttulip\nimage_3.png\trose",
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_words(make_tree, kind):
    source = open_source(make_tree(IMAGES | {"labels.csv": LISTS[kind]}))
    assert source.name == "class-list"
    assert classes(source) == WORDS


def test_a_list_beside_its_images_means_those_and_its_folder_is_the_split(make_tree):
    files = {f"{split}/{n}.png": PICTURE for split in ("train", "valid") for n in (1, 2)}
    text = "filename, rose, tulip\n1.png, 1, 0\n2.png, 0, 1\n"
    other = "filename, rose, tulip\n1.png, 0, 1\n2.png, 1, 0\n"
    source = open_source(make_tree(files | {"train/_classes.csv": text, "valid/_classes.csv": other}))
    names = source.declared_labels().names
    assert {
        (r.image.parent.name, r.image.stem): (r.split, names[source.read_class(r)]) for r in source.records
    } == {
        ("train", "1"): ("train", "rose"),
        ("train", "2"): ("train", "tulip"),
        ("valid", "1"): ("val", "tulip"),
        ("valid", "2"): ("val", "rose"),
    }


@pytest.mark.parametrize("base", [0, 1])
def test_numbers_from_0_or_1_are_found_out_and_said(make_tree, base):
    text = "".join(f"image_{n}.png {base + n % 2}\n" for n in (1, 2, 3))
    source = open_source(make_tree(IMAGES | {"train.txt": text, "classes.txt": "daisy\nlily\n"}))
    assert classes(source) == {"image_1": "lily", "image_2": "daisy", "image_3": "lily"}
    (note,) = [f for f in source.findings if f.code == "layout"]
    assert f"numbered from {base} to {base + 1}: {base} is the first class, 'daisy'" in note.found


def test_splits_by_the_names_of_the_lists(make_tree):
    lists = {"train.txt": "image_1.png 0\nimage_2.png 1", "val.txt": "image_3.png 1"}
    source = open_source(make_tree(IMAGES | lists))
    assert {r.image.stem: r.split for r in source.records} == {
        "image_1": "train",
        "image_2": "train",
        "image_3": "val",
    }
    assert classes(source) == {"image_1": "class 0", "image_2": "class 1", "image_3": "class 1"}


def test_lines_without_an_image_are_named(make_tree):
    source = open_source(make_tree(IMAGES | {"a.txt": "image_1.png x\nimage_2.png y\ngone.png x\n"}))
    (finding,) = [f for f in source.findings if f.code == "listed-file-missing"]
    assert finding.files == ("a.txt: gone.png",)
    assert len(source.records) == 2


def test_an_image_of_two_classes_is_refused(make_tree):
    with pytest.raises(DataError, match=r"two classes(.|\n)*image_1"):
        open_source(make_tree(IMAGES | {"a.txt": "image_1.png x\nimage_1.png y\n"}))


def test_lists_of_pairs_and_of_names_are_no_lists_of_classes(make_tree):
    mask = np.zeros((6, 9), np.uint8)
    root = make_tree(IMAGES | {"m/1.png": mask, "all.txt": "jpg/image_1.png m/1.png\n"})
    assert open_source(root).name == "listed-pairs"
    with pytest.raises(DataError, match="No images with masks"):
        open_source(make_tree({"all.txt": "image_1\nimage_2\n", "m/1.png": mask}))


UNCLEAR = {
    "a column a class": "image,rose,tulip\nimage_1,1,0\nimage_2,1,1\nimage_3,0,0\n",
    "a gap": "image,label\nimage_1,rose\nimage_2,\nimage_3,\n",
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_lines_without_one_class_are_said(make_tree, kind):
    source = open_source(make_tree(IMAGES | {"labels.csv": UNCLEAR[kind]}))
    assert classes(source) == {"image_1": "rose"}
    (finding,) = [f for f in source.findings if f.code == "listed-class-unclear"]
    assert (finding.where, finding.count) == ("labels.csv: image_2", 2)
    assert "2 lines of labels.csv" in finding.found


def test_a_column_of_labels_is_the_class_beside_other_columns_of_0_and_1(make_tree):
    rows = "".join(f"image_{n},{n % 2},1\n" for n in (1, 2, 3))
    source = open_source(make_tree(IMAGES | {"labels.csv": f"image,label,is_valid\n{rows}"}))
    assert source.name == "class-list"
    assert classes(source) == {"image_1": "class 1", "image_2": "class 0", "image_3": "class 1"}


def test_a_name_of_several_images_is_no_missing_one(make_tree):
    images = {f"{side}/{n}.png": PICTURE for side in ("left", "right") for n in (1, 2)}
    lines = "left/1.png,rose\nright/1.png,tulip\n2.png,rose\n"
    source = open_source(make_tree(images | {"labels.csv": lines}))
    found = {f.code: f for f in source.findings}
    assert found["listed-file-ambiguous"].files == ("labels.csv: 2.png",)
    assert "listed-file-missing" not in found and len(source.records) == 2


def test_lines_with_more_cells_are_said_unless_these_are_empty(make_tree):
    lines = "image,label\nimage_1.png,rose\nimage_2.png,tulip, red\nimage_3.png,rose,,\n"
    source = open_source(make_tree(IMAGES | {"labels.csv": lines}))
    assert classes(source) == {"image_1": "rose", "image_3": "rose"}
    (finding,) = [f for f in source.findings if f.code == "listed-line-uneven"]
    assert finding.files == ("labels.csv: image_2.png,tulip,red",) and "quotes" in finding.fix


def test_class_names_with_commas_are_read_from_quotes(make_tree):
    lines = 'image,label\nimage_1.png,rose\nimage_2.png,"tulip, red"\nimage_3.png,rose\n'
    source = open_source(make_tree(IMAGES | {"labels.csv": lines}))
    assert classes(source) == WORDS | {"image_2": "tulip, red"}
