import json
from pathlib import Path

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.formats import open_source

PICTURE = np.zeros((40, 60, 3), np.uint8)
QUAD = "5,5,25,5,25,15,5,15"


def icdar(make_tree, *lines: str):
    root = make_tree({"img_1.png": PICTURE, "gt_img_1.txt": "\ufeff" + "\r\n".join(lines) + "\r\n"})
    source = open_source(root)
    assert source.name == "icdar-text"
    return source


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("word", "word"),
        ("two words", "two words"),
        ("a, comma", "a, comma"),
        ("a,b,,c", "a,b,,c"),
        ("1990", "1990"),
        ("12,34", "12,34"),
        ("12,34,56", "12,34,56"),
        ("3,5m", "3,5m"),
        ("", None),
    ],
)
def test_the_transcription_is_what_follows_the_corners(make_tree, line, text):
    source = icdar(make_tree, f"{QUAD},other", f"{QUAD},{line}", f"{QUAD},###")
    words = source.read_words(source.records[0])
    assert words.texts == ("other", text, None)
    assert words.is_ignored.tolist() == [False, False, True]
    np.testing.assert_array_equal(words.polygons[1], [[5, 5], [25, 5], [25, 15], [5, 15]])


def test_polygons_of_any_length(make_tree):
    lines = ["1,1,9,1,9,9,x", "1,1,9,1,12,5,9,9,1,9,y", "1,1,9,1,12,5,9,9,5,12,1,9,-3,z"]
    source = icdar(make_tree, *lines)
    words = source.read_words(source.records[0])
    assert [len(p) for p in words.polygons] == [3, 5, 6]
    assert words.texts == ("x", "y", "-3,z")


def test_two_corners_are_a_box(make_tree):
    source = icdar(make_tree, "5, 6, 20, 12, sign", "1, 1, 4, 4, 7")
    words = source.read_words(source.records[0])
    np.testing.assert_array_equal(words.polygons[0], [[5, 6], [20, 6], [20, 12], [5, 12]])
    assert words.texts == ("sign", "7")


def test_corners_in_a_wrong_order_are_put_in_order(make_tree):
    lines = [f"{QUAD},a", "25,5,5,5,5,15,25,15,backwards", "5,5,25,15,25,5,5,15,b"]
    source = icdar(make_tree, *lines)
    (finding,) = source.label_problems(source.records[0]).findings()
    assert (finding.code, finding.where) == ("word-crosses-itself", "gt_img_1.txt, line 3")
    words = source.read_words(source.records[0])
    assert words.texts == ("a", "backwards", "b")
    assert {tuple(p) for p in words.polygons[2]} == {tuple(p) for p in words.polygons[0]}
    values = source.read_values(source.records[0])
    assert values[6:15, 6:25].all()


def test_ignored_words_are_ignored_pixels_under_legible_ones(make_tree):
    source = icdar(make_tree, f"{QUAD},word", "20,5,40,5,40,15,20,15,###")
    values = source.read_values(source.records[0])
    assert values[10, 10] == 1
    assert values[10, 22] == 1  # both: the legible one
    assert values[10, 35] == 255
    assert values[30, 30] == 0
    assert source.declared_labels().encode(values).max() == 255


DEFECTS = {
    "annotation-malformed": "1,2,word",
    "polygon-outside-image": "5,5,90,5,90,15,5,15,far",
    "annotation-empty": "5,5,25,5,15,5,8,5,flat",
}


@pytest.mark.parametrize("code", DEFECTS)
def test_defects_are_named_by_file_and_line(make_tree, code):
    source = icdar(make_tree, f"{QUAD},a", f"{QUAD},b", f"{QUAD},c", *[f"{QUAD},d"] * 2, DEFECTS[code])
    (finding,) = source.label_problems(source.records[0]).findings()
    assert finding.code == code
    assert finding.where == "gt_img_1.txt, line 6"
    assert len(source.read_words(source.records[0])) == 5 + (code == "polygon-outside-image")


@pytest.mark.parametrize("line", ['5 6 25 16 "Foot, ball"', '5, 6, 25, 16, "Foot, ball"'])
def test_boxes_of_icdar_2013(make_tree, line):
    source = icdar(make_tree, line)
    words = source.read_words(source.records[0])
    assert words.texts == ("Foot, ball",)
    assert words.polygons[0].tolist() == [[5, 6], [25, 6], [25, 16], [5, 16]]


def test_a_word_that_leaves_the_image_is_cut_and_not_bent(make_tree):
    source = icdar(make_tree, "-30,20,30,0,30,40,a", "-30,20,30,0,30,40,b")
    (word, _) = source.read_words(source.records[0]).polygons
    x, y = word.T
    assert abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2 == 30 * (20 + 40) / 2


def test_the_same_name_in_two_splits(make_tree):
    files = {}
    for split, task in (("ch4_training", "Challenge4_Train_GT"), ("ch4_test", "Challenge4_Test_GT")):
        files |= {f"{split}_images/img_1.png": PICTURE, f"{task}/gt_img_1.txt": f"{QUAD},{split}\n"}
    source = open_source(make_tree(files))
    found = {r.split: source.read_words(r).texts for r in source.records}
    assert found == {"train": ("ch4_training",), "test": ("ch4_test",)}


def total_text(make_tree, text: str):
    source = open_source(make_tree({"img1.png": PICTURE, "poly_gt_img1.txt": text}))
    assert source.name == "total-text"
    return source


def test_total_text(make_tree):
    text = """x: [[ 5 25 25\n  5]], y: [[ 5 5 15 15]], ornt: [u'h'], transcriptions: [u'it\'s, "a"']
x: [[1 9 12 9 1]], y: [[1 1 5 9 9]], ornt: [u'#'], transcriptions: [u'#']
x: [[30 40 40]], y: [[20 20 30]], ornt: [u'c'], transcriptions: [u"it's"]
x: [[30 40 40]], y: [[20 20]], ornt: [u'c'], transcriptions: [u'lost']
"""
    source = total_text(make_tree, text)
    words = source.read_words(source.records[0])
    assert words.polygons[0].tolist() == [[5, 5], [25, 5], [25, 15], [5, 15]]
    assert [len(polygon) for polygon in words.polygons] == [4, 5, 3]
    assert words.texts[1:] == (None, "it's") and words.is_ignored.tolist() == [False, True, False]
    findings = {f.code: f.where for f in source.label_problems(source.records[0]).findings()}
    assert findings["annotation-malformed"] == "poly_gt_img1.txt, word 4"


def test_total_text_that_is_cut_off_is_named(make_tree):
    source = total_text(make_tree, "x: [[5 25 25]], y: [[5 5 15]], ornt: [u'h']\nx: [[5 25")
    with pytest.raises(DataError, match=r"poly_gt_img1\.txt[\s\S]*2 words, of which 1"):
        source.read_words(source.records[0])


def mmocr(*instances: object) -> str:
    row = {"img_path": "x/img_1.png", "height": 40, "width": 60, "instances": instances}
    return json.dumps({"metainfo": {"dataset_type": "TextDetDataset"}, "data_list": [row]})


def test_mmocr(make_tree):
    quad = [float(n) for n in QUAD.split(",")]
    text = mmocr(
        {"polygon": quad, "ignore": False, "text": "word"},
        {"polygon": quad + [2, 9], "ignore": True},
        {"bbox": [1, 1, 4, 4]},
        {"polygon": [1, 2, "x"]},
        "none",
    )
    source = open_source(make_tree({"img_1.png": PICTURE, "textdet_test.json": text}))
    words = source.read_words(source.records[0])
    assert [len(p) for p in words.polygons] == [4, 5, 4]
    assert words.texts == ("word", None, None)
    assert words.is_ignored.tolist() == [False, True, False]
    found = {f.code: f.count for f in source.label_problems(source.records[0]).findings()}
    assert found == {"annotation-malformed": 2, "text-ignored": 1}


def test_mmocr_that_is_cut_off_is_named(make_tree):
    with pytest.raises(DataError, match=r"words\.json"):
        open_source(make_tree({"img_1.png": PICTURE, "words.json": mmocr({"polygon": [1]})[:-3]}))


def test_scene_text(shared_data: Path):
    source = open_source(shared_data / "scene_text")
    assert source.name == "mmocr-text"
    words = [source.read_words(record) for record in source.records]
    assert len(words) == 10
    assert sum(map(len, words)) == 82
    assert sum(int(w.is_ignored.sum()) for w in words) == 61


@pytest.mark.parametrize("texts", ["{side}/gt_img_1.txt", "gt/{side}/gt_img_1.txt"])
def test_images_of_one_name_in_two_folders_have_their_own_words(make_tree, texts):
    files = {}
    for side in ("left", "right"):
        files |= {f"{side}/img_1.png": PICTURE, texts.format(side=side): f"{QUAD},{side}\n"}
    source = open_source(make_tree(files))
    assert {r.name: source.read_words(r).texts for r in source.records} == {
        "left/img_1": ("left",),
        "right/img_1": ("right",),
    }


def test_words_of_another_folder_are_no_words_of_an_image(make_tree):
    files = {"left/img_1.png": PICTURE, "right/img_1.png": PICTURE, "left/gt_img_1.txt": f"{QUAD},left\n"}
    source = open_source(make_tree(files))
    assert {r.name: bool(r.labels) for r in source.records} == {"left/img_1": True, "right/img_1": False}


def test_total_text_may_have_an_x_and_a_colon_in_a_word(make_tree):
    word = "x: [[ 5 25 25 5]], y: [[ 5 5 15 15]], ornt: [u'h'], transcriptions: [u'Tax: 5']\n"
    source = total_text(make_tree, word)
    assert source.read_words(source.records[0]).texts == ("Tax: 5",)


def test_boxes_of_visdrone_are_no_words(make_tree):
    lines = "68,8,27,16,1,4,0,0\n10,8,20,20,0,11,1,2,\n"
    root = make_tree({"images/a_b.png": np.zeros((40, 60, 3), np.uint8), "annotations/a_b.txt": lines})
    with pytest.raises(DataError, match=r"1 text files named after images, such as annotations/a_b\.txt"):
        open_source(root)


def test_lines_are_counted_with_the_empty_ones(make_tree):
    lines = ["", f"{QUAD},a", f"{QUAD},b", "  ", f"{QUAD},c", "", DEFECTS["annotation-empty"]]
    source = icdar(make_tree, *lines)
    (finding,) = source.label_problems(source.records[0]).findings()
    assert finding.where == "gt_img_1.txt, line 7"
    assert source.read_words(source.records[0]).texts == ("a", "b", "c")
