"""Matches of words against the rules of the challenges, written once more with areas found in another way."""

import numpy as np
import pytest

from limner.metrics.word_matches import match_words

NUM_SETS = 500


def convex_overlap(first, second):
    """Area that two convex polygons share, by cutting one at each side of the other."""
    if signed_area(second) < 0:
        second = second[::-1]
    points = list(first)
    for start, end in zip(second, np.roll(second, -1, 0), strict=True):
        way, kept = end - start, []
        sides = [way[0] * (p[1] - start[1]) - way[1] * (p[0] - start[0]) for p in points]
        for here, there, a, b in zip(
            points, points[1:] + points[:1], sides, sides[1:] + sides[:1], strict=True
        ):
            if a >= 0:
                kept.append(here)
            if a * b < 0:
                kept.append(here + (there - here) * a / (a - b))
        points = kept
        if not points:
            return 0.0
    return abs(signed_area(np.array(points)))


def signed_area(polygon):
    x, y = polygon.T
    return (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def random_words(rng, number):
    """Rotated rectangles with whole-numbered corners, as the official scripts read them."""
    found = []
    for _ in range(number):
        half, angle = rng.uniform((8, 4), (20, 8)), rng.uniform(-0.3, 0.3)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ turn.T + rng.uniform(20, 80, 2)
        found.append(np.round(corners)[:: rng.choice([-1, 1])])
    return found


def random_set(seed):
    """True words, and found ones of which most are true words that moved, are cut, or joined with another."""
    rng = np.random.default_rng(seed)
    truth = random_words(rng, rng.integers(0, 6))
    found = random_words(rng, rng.integers(0, 3))
    for word in truth:
        kind = rng.integers(4)
        if kind == 0:
            found.append(word + rng.integers(-4, 5, 2))
        elif kind == 1:
            middle = (word[[0, 3]] + word[[1, 2]]) / 2
            found += [np.round([word[0], middle[0], middle[1], word[3]]) + 0.0]
            found += [np.round([middle[0], word[1], word[2], middle[1]]) + 0.0]
        elif kind == 2:
            found.append(np.round((word - word.mean(0)) * rng.uniform(0.7, 1.6, 2) + word.mean(0)))
    rng.shuffle(found)
    return truth, rng.random(len(truth)) < 0.3, [word for word in found if abs(signed_area(word)) > 0]


def by_icdar(truth, ignored, found):
    """Pairs, and numbers of words that count, by the order of the official script."""
    outside = [
        not any(
            convex_overlap(t, f) / abs(signed_area(f)) > 0.5 for t, i in zip(truth, ignored, strict=True) if i
        )
        for f in found
    ]
    pairs, used = [], set()
    for t, true in enumerate(truth):
        for f, one in enumerate(found):
            shared = convex_overlap(true, one)
            iou = shared / (abs(signed_area(true)) + abs(signed_area(one)) - shared)
            if not ignored[t] and outside[f] and f not in used and iou > 0.5:
                pairs.append((t, f))
                used.add(f)
                break
    return pairs, int((~ignored).sum()), sum(outside)


def by_deteval(truth, found):
    """Sums of recall and precision by the tables and the three passes of Total-Text's script."""
    if not len(truth) or not len(found):
        return 0.0, 0.0
    shared = np.array([[convex_overlap(t, f) for f in found] for t in truth])
    sigma = (shared / np.array([[abs(signed_area(t))] for t in truth])).round(2)
    tau = (shared / np.array([abs(signed_area(f)) for f in found])).round(2)
    sums, true_used, found_used = np.zeros(2), set(), set()
    for t in range(len(truth)):
        large, pure = np.flatnonzero(sigma[t] > 0.7), np.flatnonzero(tau[t] > 0.6)
        if len(large) == 1 and len(pure) == 1:
            sums += 1
            true_used.add(t)
            found_used.add(int(large[0]))
    sums += divided_words(tau, sigma, true_used, found_used, least=0.7)
    sums += divided_words(sigma.T, tau.T, found_used, true_used, least=0.6)[::-1]
    return tuple(sums)


def divided_words(own, other, whole_used, parts_used, *, least):
    """The second and third pass: a word that meets two or more, and the parts of it that are free."""
    sums = np.zeros(2)
    for number in range(len(own)):
        parts = [p for p in range(own.shape[1]) if own[number, p] >= 0.6 and p not in parts_used]
        if number in whole_used or np.count_nonzero(own[number]) < 2 or not parts:
            continue
        # Both passes ask a single part for 0.7 of the true and 0.6 of the found word.
        of_true, of_found = (other, own) if least == 0.7 else (own, other)
        if len(parts) == 1 and of_true[number, parts[0]] >= 0.7 and of_found[number, parts[0]] >= 0.6:
            sums += 1
        elif len(parts) > 1 and other[number, parts].sum() >= least:
            sums += 0.8 * np.array([1, len(parts)])
        else:
            continue
        whole_used.add(number)
        parts_used.update(parts)
    return sums


def test_the_rules_of_icdar_2015_on_random_sets():
    seen = 0
    for seed in range(NUM_SETS):
        truth, ignored, found = random_set(seed)
        matches = match_words(truth, ignored, found)
        pairs, num_true, num_found = by_icdar(truth, ignored, found)
        assert list(map(tuple, matches.pairs.tolist())) == pairs, seed
        assert (matches.is_counted_true.sum(), matches.is_counted_found.sum()) == (num_true, num_found), seed
        seen += len(pairs)
    assert seen > NUM_SETS / 2  # there was something to match


def test_the_rules_of_total_text_on_random_sets():
    divided = 0
    for seed in range(NUM_SETS):
        truth, ignored, found = random_set(seed)
        matches = match_words(truth, ignored, found)
        kept = [f for f, counts in zip(found, matches.is_counted_found, strict=True) if counts]
        expected = by_deteval([t for t, i in zip(truth, ignored, strict=True) if not i], kept)
        assert (matches.true_credit, matches.found_credit) == pytest.approx(expected), seed
        divided += expected[0] != round(expected[0])
    assert divided > NUM_SETS / 20


SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)


def test_each_true_word_is_found_once_and_in_order():
    found = [SQUARE + [2, 0], SQUARE]  # the first has an IoU of 80 / 120, above 0.5
    assert match_words([SQUARE], np.array([False]), found).pairs.tolist() == [[0, 0]]


def test_half_of_the_area_is_not_more_than_half():
    half_ignored, half_found = SQUARE + [5, 0], SQUARE * [0.5, 1]
    assert match_words([half_ignored], np.array([True]), [SQUARE]).is_counted_found.all()
    assert match_words([half_ignored], np.array([True]), [SQUARE + [0.1, 0]]).is_counted_found.tolist() == [
        False
    ]
    assert len(match_words([SQUARE], np.array([False]), [half_found]).pairs) == 0


def test_words_without_an_area_match_nothing():
    line = SQUARE * [1, 0]
    assert len(match_words([line], np.array([False]), [line]).pairs) == 0
