import numpy as np

from limner.core.targets import Move
from limner.core.words import Words


def box(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def words(*polygons, ignored=()):
    texts = tuple(str(number) for number in range(len(polygons)))
    return Words(polygons, texts, np.isin(np.arange(len(polygons)), ignored))


def moved_by(target, x, y, shape=(20, 40)):
    return target.moved(Move(shape, lambda array, _: array, lambda points: points + (x, y)))


def test_words_that_are_cut_become_ignored_and_those_outside_are_removed():
    found = moved_by(words(box(10, 5, 20, 15), box(0, 5, 10, 15), box(25, 5, 30, 10)), -10.5, 0)
    assert found.texts == ("0", "2")
    assert found.is_ignored.tolist() == [False, False]  # 95 % of the first is inside
    found = moved_by(words(box(10, 5, 20, 15), box(20, 5, 30, 15)), -12, 0)
    assert found.is_ignored.tolist() == [True, False]


def test_a_window_cuts_words_that_are_neither_inside_nor_outside():
    target = words(box(10, 5, 20, 15), box(30, 5, 38, 15), box(22, 0, 28, 4), ignored=[2])
    assert target.num_cut((0, 0), (20, 40)) == 0
    assert target.num_cut((0, 12), (20, 28)) == 1  # the left side of the first is lost
    assert target.num_cut((0, 12), (20, 22)) == 2
    assert target.num_cut((0, 20), (20, 5)) == 0  # only the ignored one


def test_only_legible_words_are_sought_and_scored():
    target = words(box(10, 5, 20, 15), box(30, 5, 38, 15), ignored=[0])
    pixels = [target.foreground_pixel(np.random.default_rng(seed), None) for seed in range(20)]
    assert all(30 <= x < 38 and 5 <= y < 15 for y, x in pixels)
    assert target.is_scored
    hidden = words(box(10, 5, 20, 15), ignored=[0])
    assert hidden.foreground_pixel(np.random.default_rng(0), None) is None
    assert not hidden.is_scored and not words().is_scored
