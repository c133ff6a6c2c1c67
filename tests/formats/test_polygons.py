import numpy as np

from limner.formats.drawn import Drawn, Shape
from limner.formats.polygons import area, crosses_itself, is_inside, outlines_of


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
