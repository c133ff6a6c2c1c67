import numpy as np
import pytest
from PIL import Image, ImageDraw

from limner.core.clipping import clip_polygon
from limner.formats.drawn import Drawn, Shape
from limner.formats.shapes.polygons import area, crosses_itself, is_inside, outlines_of


def test_traced_outlines_fill_to_the_same_pixels() -> None:
    # Noise has everything: islands in holes, pixels that touch by a corner, the border of the image.
    rng = np.random.default_rng(0)
    for _ in range(60):
        mask = rng.random(rng.integers(1, 24, 2)) < rng.random()
        shapes = tuple(Shape("hole" if hole else "polygon", line) for hole, line in outlines_of(mask))
        np.testing.assert_array_equal(Drawn(1, shapes).mask(*mask.shape), mask)


def test_an_outline_has_its_corners_only() -> None:
    mask = np.zeros((6, 9), bool)
    mask[1:4, 2:7] = True
    ((is_hole, outline),) = outlines_of(mask)
    assert not is_hole
    assert {*zip(outline[::2], outline[1::2], strict=True)} == {(2, 1), (7, 1), (7, 4), (2, 4)}
    assert area(outline) == 15


def test_crossing_itself() -> None:
    assert crosses_itself([0, 0, 4, 4, 4, 0, 0, 4])  # a bow tie
    assert not crosses_itself([0, 0, 4, 0, 4, 4, 0, 4])
    assert not crosses_itself([0, 0, 4, 0, 4, 4, 2, 0, 0, 4])  # touches itself at (2, 0)
    assert not crosses_itself([0, 0, 4, 0, 0, 4])


def test_inside() -> None:
    square = [0, 0, 8, 0, 8, 8, 0, 8]
    assert is_inside([1, 1, 3, 1, 3, 3], square)
    assert not is_inside([1, 1, 9, 1, 3, 3], square)


def test_long_outlines_are_compared_in_blocks() -> None:
    turns = np.linspace(0, 2 * np.pi, 1500, endpoint=False)
    circle = np.stack([100 + 50 * np.cos(turns), 100 + 50 * np.sin(turns)], 1)
    assert not crosses_itself(circle.ravel().tolist())
    circle[[200, 1300]] = circle[[1300, 200]]
    assert crosses_itself(circle.ravel().tolist())


OUTSIDE = {
    "diamond": [-60, 48, 0, -12, 60, 48, 0, 108],
    "all around": [-10, -10, 200, -10, 200, 200, -10, 200],
    "prongs of a fork": [-40, 10, 90, 10, 90, 20, -40, 20, -40, 60, 90, 60, 90, 70, -50, 70],
    "corner to corner": [100, -30, 160, 50, 60, 120, 40, 60],
}


@pytest.mark.parametrize("polygon", OUTSIDE.values(), ids=OUTSIDE)
def test_a_polygon_is_cut_and_not_bent(polygon: list[float]) -> None:
    height, width, margin, fine = 96, 128, 120, 4
    size = ((width + 2 * margin) * fine, (height + 2 * margin) * fine)
    canvas = Image.new("L", size)  # drawn whole on a larger canvas, of which the middle is the image
    ImageDraw.Draw(canvas).polygon([(n + margin) * fine for n in polygon], fill=255)
    middle = np.asarray(canvas)[margin * fine : -margin * fine, margin * fine : -margin * fine]
    expected = middle.reshape(height, fine, width, fine).mean((1, 3)) > 127
    cut = clip_polygon(polygon, width, height)
    assert min(cut) >= 0
    assert max(cut[::2]) <= width
    assert max(cut[1::2]) <= height
    drawn = Drawn(1, (Shape("polygon", cut),)).mask(height, width)
    assert (drawn & expected).sum() / (drawn | expected).sum() > 0.97
    assert not crosses_itself(cut)


def test_what_lies_outside_or_inside() -> None:
    assert clip_polygon([-9, -9, -1, -9, -1, 90], 50, 40) == []
    assert clip_polygon([0, 0, 50, 0, 50, 40, 0, 40], 50, 40) == [0, 0, 50, 0, 50, 40, 0, 40]
