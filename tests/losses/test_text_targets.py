"""Targets of text detection against polygons that shapely shrinks and grows, and by hand."""

import numpy as np
import pytest
import torch

from limner.core.words import Words
from limner.decoding.text_maps import find_words
from limner.losses.text_targets import draw_text_targets

shapely = pytest.importorskip("shapely")
SIZE = (40, 64)


def words(*polygons, ignored=()):
    return Words(
        tuple(np.asarray(p, float) for p in polygons),
        (None,) * len(polygons),
        np.isin(np.arange(len(polygons)), ignored),
    )


def draw(*images, size=SIZE):
    return draw_text_targets(Words.stack(images), size)


def box(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def random_word(rng):
    """A rotated rectangle or a bent band, in either direction, which may leave the image."""
    half = np.array([rng.uniform(8, 20), rng.uniform(5, 10)])
    x = np.linspace(-1, 1, rng.integers(2, 5))
    outline = np.concatenate([np.stack([x, np.full_like(x, s)], 1)[::s] for s in (-1, 1)])[::-1] * half
    outline[:, 1] += rng.uniform(-4, 4) * (outline[:, 0] / half[0]) ** 2
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (outline @ turn.T + rng.uniform((0, 0), SIZE[::-1]))[:: rng.choice([-1, 1])]


@pytest.mark.parametrize("seed", range(6))
def test_cores_and_borders_are_the_shrunk_and_grown_polygons(seed):
    rng = np.random.default_rng(seed)
    polygons = [random_word(rng) for _ in range(3)]
    found = draw(words(*polygons))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    middles = shapely.points(x, y)
    cores, near = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    thresholds = np.full(SIZE, 0.3)
    for polygon in map(shapely.Polygon, polygons):
        margin = polygon.area * (1 - 0.4**2) / polygon.length
        distance = shapely.distance(middles, polygon.exterior)
        if shapely.contains(polygon.buffer(-margin), middles).any():
            cores |= shapely.contains(polygon.buffer(0.5 - margin), middles)
        near |= shapely.contains(polygon, middles) | (distance <= margin)
        thresholds = np.maximum(thresholds, 0.3 + 0.4 * (1 - distance / margin))
    # A rounded corner of shapely is a polygon too: next to it a few pixels may differ.
    assert (found.cores[0, 0].numpy() != cores).sum() <= 2
    assert (found.near[0, 0].numpy() != near).sum() <= 2
    np.testing.assert_allclose(found.thresholds[0, 0].numpy()[near], thresholds[near], atol=1e-4)


def test_numbers_by_hand():
    # A = 400, L = 100, D = 400 * 0.84 / 100 = 3.36.
    found = draw(words(box(10, 10, 50, 20)))
    rows, columns = np.nonzero(found.cores[0, 0].numpy())
    # From 13.36 - 0.5 to 16.64 + 0.5: the middles of pixels 13 to 16.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (13, 16, 13, 46)
    # The middle of pixel (10, 30) is 0.5 from the upper side.
    assert found.thresholds[0, 0, 10, 30].item() == pytest.approx(0.3 + 0.4 * (1 - 0.5 / 3.36))
    assert found.thresholds[0, 0, 9, 30].item() == pytest.approx(0.3 + 0.4 * (1 - 0.5 / 3.36))
    assert found.thresholds[0, 0, 15, 30].item() == pytest.approx(0.3)
    assert not found.near[0, 0, 6, 30] and found.near[0, 0, 7, 30]


@pytest.mark.parametrize("side", [10, 12, 16, 24])
def test_cores_are_decoded_to_their_words(side):
    """Small words too: of a core of four rows, half a pixel on either side is a quarter of its height."""
    rng = np.random.default_rng(side)
    for _ in range(20):
        half = np.array([rng.uniform(1.5, 5) * side, side]) / 2
        angle = rng.uniform(-0.5, 0.5)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        word = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ turn.T + rng.uniform(78, 82, 2)
        cores = draw(words(word), size=(160, 160)).cores[0, 0].float().numpy()
        found = find_words(cores, (160, 160), name="a").polygons
        assert len(found) == 1
        one, other = shapely.Polygon(found[0]), shapely.Polygon(word)
        assert one.intersection(other).area / one.union(other).area > 0.7


def test_ignored_and_small_words_are_neither_text_nor_background():
    found = draw(words(box(10, 10, 30, 20), box(40, 10, 60, 17.5), ignored=[0]))
    assert not found.cores.any() and not found.near.any()
    unknown = ~found.known[0, 0].numpy()
    assert unknown[10:20, 10:30].all() and unknown[10:17, 40:60].all()
    assert unknown.sum() == 10 * 20 + 7 * 20


def test_a_word_thinner_than_a_pixel_is_ignored():
    found = draw(words([[5, 5], [40, 35], [40.2, 35], [5.2, 5]]))
    assert not found.cores.any() and not found.near.any()


def test_a_batch_is_its_images_and_may_have_no_words():
    first, second = words(box(3, 4, 30, 20)), words(box(20, 10, 60, 30), [[5, 5], [20, 5], [12, 25]])
    together = draw(first, words(), second)
    for number, image in enumerate((first, words(), second)):
        alone = draw(image)
        for name in ("cores", "known", "thresholds", "near"):
            assert torch.equal(getattr(together, name)[number], getattr(alone, name)[0]), name
    assert not draw(words()).cores.any() and draw(words()).known.all()
