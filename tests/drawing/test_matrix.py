import io

import numpy as np
import pytest
from PIL import Image

from limner.drawing.matrix import CELL, LARGE_CELL, RIGHT, draw_matrix
from limner.drawing.pdf import encode_pdf


@pytest.mark.parametrize("count", [1, 2, 7, 30, 150])
def test_a_matrix_of_any_size_is_drawn(count):
    draw = np.random.default_rng(0)
    picture = draw_matrix(draw.integers(0, 9000, (count, count)), [f"class {i}" for i in range(count)])
    assert picture.dtype == np.uint8 and picture.ndim == 3 and min(picture.shape[:2]) > 40 * count


def test_of_too_many_classes_the_most_frequent_are_drawn(monkeypatch):
    monkeypatch.setattr("limner.drawing.matrix.MOST", 5)
    counts, names = np.random.default_rng(0).integers(1, 99, (8, 8)), [f"class {i}" for i in range(8)]
    counts[[1, 4, 6]] = counts[:, [1, 4, 6]] = 0
    most = [0, 2, 3, 5, 7]
    title = "val (the 5 most frequent of 8 classes)"
    expected = draw_matrix(counts[np.ix_(most, most)], [names[i] for i in most], title=title)
    np.testing.assert_array_equal(draw_matrix(counts, names, title="val"), expected)


def test_a_perfect_class_is_fully_blue_and_a_missing_one_is_not_painted():
    picture = draw_matrix(np.array([[500, 0], [0, 0]]), ["a", "b"], title="val: 3 images")
    blue = (picture == RIGHT).all(-1)
    # One cell with rounded corners and a gap, less the ink of its two lines.
    assert 0.8 * LARGE_CELL**2 < blue.sum() < LARGE_CELL**2


def test_pdf_is_one_page_of_the_picture():
    data = encode_pdf(np.full((72, 144, 3), 200, np.uint8))
    assert data.startswith(b"%PDF") and data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") == 1
    # 144 pixels at 144 an inch are 72 points.
    assert b"[ 0 0 72.0 36.0 ]" in data
    with pytest.raises(OSError):  # Pillow writes PDF and does not read it, so this is no image in disguise
        Image.open(io.BytesIO(data))


def test_every_cell_of_a_class_without_pixels_has_the_same_dash_and_others_do_not():
    counts = np.full((7, 7), 3)
    counts[2] = 0
    picture = draw_matrix(counts, ["a"] * 7)
    cells = picture[-24 - 7 * CELL : -24, -24 - 7 * CELL : -24].reshape(7, CELL, 7, CELL, 3).swapaxes(1, 2)
    assert all(np.array_equal(cells[2, 0], cell) for cell in cells[2])
    assert not np.array_equal(cells[2, 0], cells[0, 1])
    # The diagonal is blue, the rest orange.
    assert np.array_equal(cells[0, 1], cells[1, 0]) and not np.array_equal(cells[0, 1], cells[1, 1])
