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
