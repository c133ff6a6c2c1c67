import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from limner.formats.drawn import Drawn
from limner.formats.shapes.mask_outlines import outlined
from limner.formats.shapes.polygons import outlines_of


def disc(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side] + 0.5
    return (x - side / 2) ** 2 + (y - side / 2) ** 2 < (side / 2) ** 2


def test_a_disc_keeps_its_area_with_a_fifth_of_the_corners() -> None:
    mask = disc(60)
    ((_, exact),) = outlines_of(mask)
    (shape,), iou = outlined(mask, tolerance=1.0, holes=True)
    assert len(shape.numbers) < len(exact) / 5
    # Within 1 pixel of a circle with a radius of 30: 1 - 60 pi / 900 pi at worst.
    assert 1 - 60 / 900 < iou < 1


def test_no_tolerance_keeps_every_pixel() -> None:
    mask = np.random.default_rng(0).random((20, 30)) < 0.4
    shapes, iou = outlined(mask, tolerance=0, holes=True)
    assert iou == 1
    np.testing.assert_array_equal(Drawn(0, shapes).mask(20, 30), mask)


def test_holes_within_the_tolerance_are_filled_and_larger_ones_cut_out() -> None:
    mask = np.ones((20, 20), bool)
    mask[2:4, 2:4] = False  # 4 pixels, the square of twice the tolerance
    mask[8:14, 8:14] = False  # 36 pixels
    shapes, iou = outlined(mask, tolerance=1.0, holes=True)
    assert [shape.kind for shape in shapes] == ["polygon", "hole"]
    assert iou == pytest.approx(360 / 364)
    shapes, iou = outlined(mask, tolerance=1.0, holes=False)
    assert [shape.kind for shape in shapes] == ["polygon"]
    assert iou == pytest.approx(360 / 400)


def test_many_holes_that_are_small_are_not_filled() -> None:
    mask = np.indices((20, 20)).sum(0) % 2 == 0  # a chessboard: nothing but holes of one pixel
    mask[[0, -1]] = mask[:, [0, -1]] = True
    _, iou = outlined(mask, tolerance=1.0, holes=True)
    assert iou >= 0.9


def test_lines_one_pixel_wide_and_single_pixels_do_not_vanish() -> None:
    for mask in (np.ones((1, 1), bool), np.ones((1, 9), bool), np.eye(7, dtype=bool)):
        _, iou = outlined(mask, tolerance=2.0, holes=True)
        assert iou > 0.5


@given(
    arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))).filter(np.any),
    st.sampled_from([0.0, 0.5, 1.0, 3.0]),
)
@settings(max_examples=60, deadline=None)
def test_every_mask_has_an_outline_whose_overlap_is_the_one_that_is_said(
    mask: np.ndarray, tolerance: float
) -> None:
    shapes, iou = outlined(mask, tolerance=tolerance, holes=True)
    covered = Drawn(0, shapes).mask(*mask.shape)
    assert iou == pytest.approx((covered & mask).sum() / (covered | mask).sum())
    assert iou > 0
    assert tolerance > 0 or iou == 1
