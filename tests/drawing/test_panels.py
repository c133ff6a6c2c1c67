import numpy as np
import pytest

from limner.core.labels import LabelClass, LabelTable
from limner.drawing.colors import Key
from limner.drawing.panels import GAP, Panel, side_by_side
from limner.drawing.png import encode_png
from limner.drawing.truth_and_prediction import comparison, slice_with_most_foreground

TABLE = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("a", (1,), (200, 0, 0))))


def test_pictures_stand_unchanged_beside_each_other():
    left, right = np.full((50, 300, 3), 10, np.uint8), np.full((50, 320, 3), 200, np.uint8)
    sheet = side_by_side([Panel("left", left), Panel("right", right)], title="both")
    assert sheet.shape[1] == 300 + 320 + 3 * GAP
    rows = np.flatnonzero((sheet[:, GAP + 150] == 10).all(-1))
    assert len(rows) == 50 and (sheet[rows][:, GAP : GAP + 300] == 10).all()
    assert (sheet[rows][:, 2 * GAP + 300 : 2 * GAP + 620] == 200).all()


def test_a_long_legend_is_wrapped_and_never_too_wide():
    panel = Panel("p", np.zeros((20, 200, 3), np.uint8))
    short = side_by_side([panel], legend=[Key("a", (1, 2, 3))])
    long = side_by_side([panel], legend=[Key(f"class {n}", (n, 2, 3)) for n in range(20)])
    assert long.shape[1] == short.shape[1] and long.shape[0] > short.shape[0] + 100
    assert (long[:, -2:] == 255).all()


def test_names_of_all_kinds_are_written():
    title = "très/long/" * 30 + "名前.png"
    sheet = side_by_side(
        [Panel("😀", np.zeros((20, 60, 3), np.uint8))], title=title, legend=[Key("細胞", (1, 1, 1))]
    )
    assert (sheet[:, -2:] == 255).all()


@pytest.mark.parametrize("size", [(8, 12), (256, 256), (1500, 1000), (3, 900), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_comparisons_of_any_size_are_of_one_size(size, channels):
    image = np.zeros((*size, channels), np.uint16)
    labels = np.zeros(size, np.uint8)
    labels[:, size[1] // 2 :] = 1
    with_truth = comparison(image, labels, TABLE, truth=labels, title="x", side=120)
    without = comparison(image, labels, TABLE, side=120)
    assert with_truth.shape[1] <= 4 * 120 + 5 * GAP and with_truth.shape[1] > without.shape[1]


def test_the_telling_slice_has_most_foreground():
    labels = np.zeros((4, 5, 5), np.uint8)
    labels[1, 0, 0] = labels[3, :2] = 1
    labels[2] = 255
    assert slice_with_most_foreground(labels, TABLE) == 3


def test_png_is_rgb():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[..., 0] = 255
    import cv2

    decoded = cv2.imdecode(np.frombuffer(encode_png(picture), np.uint8), cv2.IMREAD_COLOR)
    assert decoded[0, 0].tolist() == [0, 0, 255]  # OpenCV reads blue first
