import cv2
import numpy as np
import pytest

from limner.core.words import Words
from limner.decoding.text_maps import find_words
from limner.losses.text_targets import draw_text_targets


def probabilities(shape, *rectangles, value=0.9):
    found = np.zeros(shape, np.float32)
    for rows, columns in rectangles:
        found[rows, columns] = value
    return found


def test_a_core_is_grown_by_the_authors_rule():
    # The border goes through the middles of the outer pixels: 39 x 9, whose D is 351 * 1.5 / 96 = 5.484375.
    found = find_words(probabilities((60, 80), (slice(20, 30), slice(20, 60))), (60, 80), name="a")
    distance = 39 * 9 * 1.5 / (2 * (39 + 9))
    left, top, right, bottom = 20.5 - distance, 20.5 - distance, 59.5 + distance, 29.5 + distance
    corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
    np.testing.assert_allclose(found.polygons[0], corners, atol=1e-3)
    assert found.scores.tolist() == pytest.approx([0.9])


def test_boxes_equal_the_rectangle_around_the_rounded_polygon():
    shapely = pytest.importorskip("shapely")
    rng = np.random.default_rng(0)
    for _ in range(20):
        middle, sides, angle = rng.uniform(50, 60, 2), rng.uniform((15, 6), (40, 14)), rng.uniform(0, 90)
        core = cv2.boxPoints((middle.tolist(), sides.tolist(), float(angle)))
        maps = np.zeros((110, 110), np.uint8)
        cv2.fillPoly(maps, [core.astype(np.int32)], 1)
        (border,), _ = cv2.findContours(maps, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        rectangle = shapely.Polygon(cv2.boxPoints(cv2.minAreaRect(border)))
        grown = rectangle.buffer(rectangle.area * 1.5 / rectangle.length, quad_segs=64)
        expected = shapely.Polygon(
            cv2.boxPoints(cv2.minAreaRect(np.array(grown.exterior.coords, np.float32)))
        )
        (found,) = find_words(maps.astype(np.float32), (110, 110), name="a").polygons
        ours = shapely.Polygon(found - 0.5)
        assert ours.intersection(expected).area / ours.union(expected).area > 0.998


@pytest.mark.parametrize("outlines", ["boxes", "polygons"])
def test_words_are_found_again_in_their_own_targets(outlines):
    shapely = pytest.importorskip("shapely")
    words = [
        np.array([[20, 20], [90, 20], [90, 44], [20, 44]], float),
        np.array([[30, 80], [90, 110], [80, 130], [20, 100]], float),
        np.array([[120, 20], [150, 26], [144, 60], [114, 54]], float),
    ]
    if outlines == "polygons":
        bow = np.linspace(np.pi, 2 * np.pi, 9)
        ring = np.stack([np.cos(bow), np.sin(bow)], 1)
        words.append(np.concatenate([ring * 40, ring[::-1] * 20]) + [140, 130])
    target = Words(tuple(words), (None,) * len(words), np.zeros(len(words), bool))
    cores = draw_text_targets(Words.stack([target]), (170, 200)).cores[0, 0].numpy().astype(np.float32)
    found = [shapely.Polygon(p) for p in find_words(cores, (170, 200), name="a", outlines=outlines).polygons]
    assert len(found) == len(words)
    for word in map(shapely.Polygon, words):
        best = max(found, key=lambda one: one.intersection(word).area)
        assert best.intersection(word).area / best.union(word).area > 0.6


def test_weak_and_small_cores_are_left_out_and_the_best_is_first():
    maps = probabilities((60, 80), (slice(2, 12), slice(2, 30)), value=0.5)
    maps[20:30, 2:30], maps[40:50, 2:30] = 0.7, 0.95
    maps[55:57, 50:70] = 1.0
    found = find_words(maps, (60, 80), name="a")
    assert found.scores.tolist() == pytest.approx([0.95, 0.7])
    assert len(find_words(maps, (60, 80), name="a", least_score=0.4).scores) == 3


def test_outlines_are_in_pixels_of_the_image_and_inside():
    maps = probabilities((30, 40), (slice(0, 12), slice(10, 39)))
    (half,) = find_words(maps, (30, 40), name="a").polygons
    (whole,) = find_words(maps, (60, 80), name="a").polygons
    np.testing.assert_allclose(whole, half * 2)
    assert half.min() == 0 and (half <= (40, 30)).all()


@pytest.mark.parametrize("outlines", ["boxes", "polygons"])
def test_nothing_is_found_in_nothing(outlines):
    found = find_words(np.zeros((40, 40), np.float32), (40, 40), name="a", outlines=outlines)
    assert found.polygons == () and found.scores.shape == (0,)
