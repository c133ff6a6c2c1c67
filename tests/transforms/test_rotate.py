import numpy as np
import pytest

from limner.core.label_map import LabelMap
from limner.core.labels import IGNORE_INDEX
from limner.core.sample import Sample
from limner.core.words import Words
from limner.transforms.rotate import Rotate, RotateParams

SIDE = 41


def sample(image, *targets):
    return Sample("a", image, targets, (2.0, 1.0))


def test_a_quarter_turn_is_that_of_numpy():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (SIDE, SIDE, 5), dtype=np.uint8)
    labels = rng.integers(0, 9, (SIDE, SIDE), dtype=np.uint8)
    turned = Rotate(180).apply(sample(image, LabelMap(labels)), RotateParams(90.0))
    np.testing.assert_array_equal(turned.image, np.rot90(image))
    np.testing.assert_array_equal(turned.get(LabelMap).labels, np.rot90(labels))
    assert turned.spacing_mm == (2.0, 1.0)


@pytest.mark.parametrize("degrees", [7.0, -31.0])
def test_points_are_where_their_pixels_are(degrees):
    image = np.zeros((SIDE, 2 * SIDE, 1), np.uint16)
    image[12, 50] = 50_000
    words = Words((np.array([[50, 12], [51, 12], [51, 13], [50, 13]], float),), ("a",), np.array([False]))
    turned = Rotate(45).apply(sample(image, words), RotateParams(degrees))
    rows, columns = np.mgrid[:SIDE, : 2 * SIDE] + 0.5
    weights = turned.image[..., 0].astype(float)
    found = [(weights * at).sum() / weights.sum() for at in (columns, rows)]
    np.testing.assert_allclose(found, turned.get(Words).polygons[0].mean(0), atol=0.1)


def test_what_comes_from_outside_is_filled_and_ignored():
    image = np.full((SIDE, SIDE, 3), 200, np.uint8)
    turned = Rotate(45, fill=(10, 20, 30)).apply(
        sample(image, LabelMap(np.ones((SIDE, SIDE), np.uint8))), RotateParams(45.0)
    )
    assert turned.image[0, 0].tolist() == [10, 20, 30]
    assert turned.get(LabelMap).labels[0, 0] == IGNORE_INDEX
    # No pixel is a mixture of both.
    assert set(np.unique(turned.image[..., 0])) == {10, 200}


def test_angles_are_drawn_in_both_directions():
    rng = np.random.default_rng(0)
    drawn = [Rotate(10).draw(rng, sample(np.zeros((2, 2, 1)))).degrees for _ in range(200)]
    assert -10 <= min(drawn) < -9 and 9 < max(drawn) <= 10


def test_rotations_in_space_know_the_size_of_pixels():
    # Pixels are 2 mm high and 1 mm wide: 5 rows above the middle are 10 mm, which a quarter turn makes
    # 10 columns to the left of it.
    image = np.zeros((SIDE, 2 * SIDE, 1), np.uint8)
    corners = np.array([[41, 15.5], [42, 15.5], [42, 16.5], [41, 16.5]])
    words = Words((corners,), ("a",), np.array([False]))
    turned = Rotate(90, in_space=True).apply(sample(image, words), RotateParams(90.0))
    # One column to the right is 1 mm, which becomes half a row up; one row down becomes 2 columns right.
    expected = [[31, 20.5], [31, 20], [33, 20], [33, 20.5]]
    np.testing.assert_allclose(turned.get(Words).polygons[0], expected, atol=1e-9)
    unknown = Rotate(90, in_space=True).apply(Sample("a", image, (words,)), RotateParams(90.0))
    np.testing.assert_allclose(unknown.get(Words).polygons[0][0], [36, 20.5], atol=1e-9)


def test_a_part_of_the_images_is_rotated():
    still = sample(np.zeros((2, 2, 1)))
    rng = np.random.default_rng(0)
    drawn = [Rotate(10, probability=0.2).draw(rng, still).degrees for _ in range(1000)]
    assert np.mean([angle != 0 for angle in drawn]) == pytest.approx(0.2, abs=0.05)
    first, second = np.random.default_rng(3), np.random.default_rng(3)
    Rotate(10).draw(first, still)
    second.uniform(-10, 10)
    assert first.random() == second.random()  # where all are rotated, nothing else is drawn
