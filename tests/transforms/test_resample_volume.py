"""Resampling of volumes against SciPy, and of labels against the arg max of all shares."""

import numpy as np
import pytest
from scipy.ndimage import zoom

from limner.core.errors import DataError
from limner.core.plan import InputPlan
from limner.transforms.resample_volume import (
    resample_image,
    resample_labels,
    resampled_size,
    seen_shape,
    thick_axis,
)

SHAPES = [
    ((7, 12, 9), (7, 12, 9)),
    ((7, 12, 9), (14, 5, 9)),
    ((1, 20, 6), (3, 31, 4)),
    ((5, 4, 3), (9, 9, 9)),
]


def scipy_zoom(array: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    return zoom(array.astype(np.float64), factors, order=order, mode="nearest", grid_mode=True)


@pytest.mark.parametrize(("old", "new"), SHAPES)
@pytest.mark.parametrize(("order", "number"), [("linear", 1), ("cubic", 3)])
def test_images_equal_those_of_scipy(old, new, order: str, number: int) -> None:
    image = np.random.default_rng(0).normal(0, 100, (*old, 2)).astype(np.float32)
    found = resample_image(image, new, order=order)
    assert found.dtype == np.float32
    for channel in range(2):
        part = image[..., channel]
        expected = np.clip(scipy_zoom(part, new, number), part.min(), part.max())
        np.testing.assert_allclose(found[..., channel], expected, atol=2e-3)


def test_thick_slices_are_not_mixed() -> None:
    image = np.random.default_rng(1).normal(size=(4, 10, 10, 1)).astype(np.float32)
    found = resample_image(image, (8, 15, 15), thick=0)
    for place in range(8):  # each slice twice
        one = scipy_zoom(image[place // 2, ..., 0], (15, 15), 3)
        np.testing.assert_allclose(found[place, ..., 0], np.clip(one, image.min(), image.max()), atol=1e-4)


@pytest.mark.parametrize(("old", "new"), [*SHAPES, ((20, 30, 25), (13, 41, 19))])
def test_labels_are_those_of_the_largest_share(old, new) -> None:
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 6, [max(1, side // 3) for side in old])
    labels = coarse[np.ix_(*(np.arange(s) * c // s for s, c in zip(old, coarse.shape, strict=True)))]
    labels = np.where(labels == 5, 255, labels).astype(np.uint8)
    values = np.unique(labels)
    shares = np.stack([scipy_zoom(labels == value, new, 1) for value in values])
    found = resample_labels(labels, new)
    assert (found.dtype, found.shape) == (np.uint8, new)
    ranked = np.sort(shares, axis=0)
    clear = (ranked[-1] - (ranked[-2] if len(values) > 1 else 0)) > 1e-4
    np.testing.assert_array_equal(found[clear], values[shares.argmax(0)][clear])
    assert clear.mean() > 0.6


def test_labels_of_one_size_and_one_value_stay() -> None:
    labels = np.random.default_rng(3).integers(0, 3, (4, 5, 6)).astype(np.uint16)
    same = resample_labels(labels, (4, 5, 6))
    np.testing.assert_array_equal(same, labels)
    assert same is not labels
    assert (resample_labels(np.full((4, 5, 6), 7, np.uint8), (2, 9, 3)) == 7).all()


def test_a_thin_structure_may_vanish_but_nothing_new_appears() -> None:
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[15, 15, 15] = 3
    assert set(np.unique(resample_labels(labels, (10, 10, 10)))) <= {0, 3}


@pytest.mark.parametrize(
    ("before", "after", "axis"),
    [
        ((1, 1, 1), (1, 1, 1), None),
        ((3, 1, 1), (3, 1, 1), None),  # not more than 3 times
        ((5, 1, 1), (1, 1, 1), 0),
        ((1, 1, 1), (1, 1, 4), 2),
        ((4, 4, 1), (1, 1, 1), None),  # two axes have the same
        ((1, 6, 1), (9, 1, 1), 1),  # the old spacing counts first
    ],
)
def test_the_thick_axis(before, after, axis) -> None:
    assert thick_axis(before, after) == axis


def plan(**more: object) -> InputPlan:
    values = {"spatial_dims": 3, "channels": 1, "crop_size": (8, 8, 8), "mean": (0.0,), "std": (1.0,)}
    return InputPlan(**(values | more))


def test_the_size_that_the_network_sees() -> None:
    resampled = plan(resample=True, spacing_mm=(2.0, 1.0, 1.0))
    # 10 * 1 / 2 = 5; 20 * 0.5 / 1 = 10; 30 * 3 / 1 = 90.
    assert seen_shape((10, 20, 30), (1, 0.5, 3), resampled, where="a.nii") == (5, 10, 90)
    assert seen_shape((10, 20, 30), (1, 0.5, 3), plan(spacing_mm=(2.0, 1.0, 1.0)), where="a") == (10, 20, 30)
    flat = plan(resample=True, spatial_dims=2, crop_size=(8, 8), slice_axis=1, spacing_mm=(2.0, 1.0))
    assert seen_shape((10, 20, 30), (1, 0.5, 3), flat, where="a.nii") == (5, 20, 90)
    with pytest.raises(DataError, match="does not state its spacing"):
        seen_shape((10, 20, 30), None, resampled, where="a.npz")
    with pytest.raises(DataError, match="too large at the spacing") as error:
        seen_shape((1000, 1000, 1000), (90, 90, 90), resampled, where="a.nii")
    assert "a.nii" in str(error.value)
    with pytest.raises(ValueError, match="resample needs spacing_mm"):
        plan(resample=True)


BEFORE, AFTER = (2.5, 0.8, 1.1), (1.5, 1.3, 0.7)
"""Spacing of a volume in millimetres, and the one it is resampled to."""


def resampled_grid(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the size after resampling, and the spacing at which it covers the same space."""
    new = resampled_size(shape, BEFORE, AFTER)
    return new, tuple(step * old / size for step, old, size in zip(BEFORE, shape, new, strict=True))


@pytest.mark.parametrize(("order", "margin"), [("linear", 1), ("cubic", 9)])
def test_voxels_keep_their_places_in_space(order: str, margin: int) -> None:
    """What depends linearly on the position in space still does; near its ends, a volume is continued."""
    shape = (24, 30, 26)
    new, spacing = resampled_grid(shape)

    def volume(size: tuple[int, ...], steps: tuple[float, ...]) -> np.ndarray:
        centres = [(np.arange(n) + 0.5) * step for n, step in zip(size, steps, strict=True)]
        z, y, x = np.meshgrid(*centres, indexing="ij")
        return (3 * z - 5 * y + 7 * x).astype(np.float32)

    found = resample_image(volume(shape, BEFORE)[..., None], new, order=order)[..., 0]
    ends = [round(margin * step / after) for step, after in zip(BEFORE, spacing, strict=True)]
    inside = tuple(slice(end, size - end) for end, size in zip(ends, new, strict=True))
    np.testing.assert_allclose(found[inside], volume(new, spacing)[inside], atol=0.01)


@pytest.mark.peer
def test_volumes_and_labels_lie_in_space_as_simpleitk_resamples_them() -> None:
    sitk = pytest.importorskip("SimpleITK")
    # Of odd sizes, no new voxel is halfway between two, where either label may be taken.
    rng, shape = np.random.default_rng(4), (27, 41, 33)
    new, spacing = resampled_grid(shape)
    direction = np.linalg.qr(rng.normal(size=(3, 3)))[0]

    def placed(image, steps):
        """Place a volume so that its corner, not the centre of its first voxel, is at (10, -20, 30)."""
        image.SetSpacing(steps[::-1])
        image.SetDirection(direction.ravel().tolist())
        image.SetOrigin((np.array([10, -20, 30]) + direction @ np.multiply(steps[::-1], 0.5)).tolist())
        return image

    grid = placed(sitk.Image(new[::-1], sitk.sitkFloat32), spacing)

    def resampled(array, interpolator):
        source = placed(sitk.GetImageFromArray(array), BEFORE)
        return sitk.GetArrayFromImage(sitk.Resample(source, grid, sitk.Transform(), interpolator))

    image = rng.normal(0, 100, shape).astype(np.float32)
    linear = resample_image(image[..., None], new, order="linear")[..., 0]
    np.testing.assert_allclose(linear, resampled(image, sitk.sitkLinear), atol=0.01)
    # Cubic splines continue a volume beyond its ends, ITK by its mirror image; 9 voxels inside both agree.
    cubic = resample_image(image[..., None], new)[..., 0]
    inside = tuple(slice(round(9 * b / a), -round(9 * b / a)) for b, a in zip(BEFORE, spacing, strict=True))
    expected = np.clip(resampled(image, sitk.sitkBSpline), image.min(), image.max())
    np.testing.assert_allclose(cubic[inside], expected[inside], atol=0.05)
    coarse = rng.integers(0, 5, [side // 4 + 1 for side in shape])
    labels = coarse[np.ix_(*(np.arange(side) // 4 for side in shape))].astype(np.uint8)
    same = resample_labels(labels, new) == resampled(labels, sitk.sitkLabelLinear)
    assert same.mean() > 0.999
