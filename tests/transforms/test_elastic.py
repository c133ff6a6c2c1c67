"""Elastic deformation: the map is the stated B-spline, nothing folds, and points follow the pixels."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.ndimage import map_coordinates

from limner.core.label_map import LabelMap
from limner.core.sample import Sample
from limner.core.words import Words
from limner.transforms.elastic import MOST_MOVED, Bend, Elastic
from limner.transforms.volume_patch import VolumePatch, VolumePatchParams


def image_of(shape: tuple[int, ...], channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.cumsum(np.cumsum(rng.normal(size=(*shape, channels)), 0), 1).astype(np.float32)


@pytest.mark.parametrize("shape", [(40, 30), (20, 16, 9)])
def test_the_field_is_a_cubic_spline_of_the_controls(shape) -> None:
    bend = Bend(seed=3, deviation=2.0, distance=8)
    controls, field = bend.controls(shape), bend.field(shape)
    assert field.shape == (len(shape), *shape)
    expected = controls
    for axis, side in enumerate(shape, start=1):
        count = controls.shape[axis]
        # Control 0 is one step before the image; the spline of a knot begins two steps before it.
        knots = (np.arange(count + 4) - 3) * 8.0
        spline = BSpline(knots, np.moveaxis(expected, axis, 0), 3)
        expected = np.moveaxis(spline(np.arange(side) + 0.5), 0, axis)
    np.testing.assert_allclose(field, expected, atol=1e-9)


def test_movements_have_their_deviation_and_limit() -> None:
    controls = Bend(seed=0, deviation=3.0, distance=32).controls((2000, 2000))
    assert controls.std() == pytest.approx(3, rel=0.05)
    assert abs(controls).max() < MOST_MOVED * 32
    assert abs(Bend(seed=0, deviation=50.0, distance=10).controls((200, 200))).max() == 4
    assert (Bend(0, 3.0, 8, still_axis=1).controls((9, 9, 9))[1] == 0).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(64, 64), (24, 24, 24)])
def test_nothing_folds_even_where_controls_move_as_far_as_they_may(shape, seed) -> None:
    field = Bend(seed, deviation=1e3, distance=8).field(shape)  # every control moves by 0.4 times 8
    gradients = np.stack([np.stack(np.gradient(part)) for part in field])  # (D of the field, D, *S)
    jacobian = np.moveaxis(gradients, (0, 1), (-2, -1)) + np.eye(len(shape))
    assert np.linalg.det(jacobian).min() > 0


@pytest.mark.parametrize("shape", [(40, 30), (20, 16, 12)])
@pytest.mark.parametrize("deviation", [1.5, 1e3])
def test_points_are_where_the_pixels_show_them(shape, deviation) -> None:
    bend = Bend(seed=1, deviation=deviation, distance=8)
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.integers(0, side, 50) for side in shape], 1)
    shown = pixels + 0.5 + bend.field(shape)[(slice(None), *pixels.T)].T
    np.testing.assert_allclose(bend.undone(shown, shape), pixels + 0.5, atol=1e-3)


def test_an_image_is_interpolated_at_the_displaced_places() -> None:
    image, bend = image_of((40, 30)), Bend(seed=2, deviation=3.0, distance=10)
    labels = (np.indices((40, 30)).sum(0) // 9).astype(np.uint8)
    found = Elastic(3.0, 10, fill=(7.0, -7.0)).apply(Sample("a", image, (LabelMap(labels),)), bend)
    at = np.mgrid[:40, :30] + bend.field((40, 30))
    inside = ((at >= -0.5) & (at < np.array([39.5, 29.5]).reshape(2, 1, 1))).all(0)
    assert 0.8 < inside.mean() < 1
    for channel in range(2):
        expected = map_coordinates(image[..., channel], at, order=1, mode="nearest")
        # OpenCV's places have steps of 1/32 pixel.
        np.testing.assert_allclose(found.image[inside, channel], expected[inside], atol=0.3)
        assert (found.image[~inside, channel] == (7, -7)[channel]).all()
    nearest = map_coordinates(labels, at, order=0, mode="nearest")
    np.testing.assert_array_equal(found.get(LabelMap).labels, np.where(inside, nearest, 255))


def test_outlines_of_words_move_with_the_pixels() -> None:
    image = np.zeros((60, 80, 1), np.float32)
    image[30, 50] = 1
    outline = np.array([[50.5, 30.5], [52.5, 30.5], [52.5, 33.5]])
    sample = Sample("a", image, (Words((outline,), ("x",), np.zeros(1, bool)),))
    found = Elastic(4.0, 16).apply(sample, Bend(5, 4.0, 16))
    y, x = np.unravel_index(found.image[..., 0].argmax(), (60, 80))
    np.testing.assert_allclose(found.get(Words).polygons[0][0], [x + 0.5, y + 0.5], atol=1)


def test_a_patch_is_deformed_in_the_same_step_as_it_is_rotated() -> None:
    image, size, start = image_of((30, 34, 38)), (10, 12, 14), (8, 9, 10)
    bend = Bend(seed=4, deviation=1.5, distance=6)
    params = VolumePatchParams(start, (0.0, 0.0, 0.0), 1.3, bend)
    found = VolumePatch(size=size, fill=(0.0, 0.0)).apply(Sample("a", image), params)
    # The place in the patch, from its middle, is displaced, and then enlarged by 1.3.
    offsets = np.mgrid[:10, :12, :14] + 0.5 - np.array(size).reshape(3, 1, 1, 1) / 2
    middle = (np.array(start) + np.array(size) / 2).reshape(3, 1, 1, 1)
    at = (offsets + bend.field(size)) / 1.3 + middle - 0.5
    for channel in range(2):
        expected = map_coordinates(image[..., channel], at, order=1)
        np.testing.assert_allclose(found.image[..., channel], expected, atol=2e-3)
    plain = VolumePatch(size=size).apply(Sample("a", image), replace(params, bend=None))
    assert abs(plain.image - found.image).max() > 1


def test_some_are_deformed_and_thick_slices_stay() -> None:
    sample, rng = Sample("a", image_of((40, 30))), np.random.default_rng(0)
    drawn = [Elastic(2.0, probability=0.2).draw(rng, sample) for _ in range(500)]
    assert np.mean([bend is not None for bend in drawn]) == pytest.approx(0.2, abs=0.05)
    volume = Sample("b", image_of((8, 20, 20)))
    patch = VolumePatch(size=(8, 8, 8), elastic=2.0, thick_axis=0)
    assert patch.draw(rng, volume).bend.still_axis == 0
    before = VolumePatch(size=(8, 8, 8)).draw(np.random.default_rng(1), volume)
    assert before.bend is None
