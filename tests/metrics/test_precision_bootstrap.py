"""Repetitions with whole weights are the AP of the images so often."""

import numpy as np
import pytest

from limner.core.segments import segments_of
from limner.metrics import precision_bootstrap
from limner.metrics.average_precision import AveragePrecision
from limner.metrics.precision_bootstrap import RECALLS, WeightedObjects, draw_weights, weighted_precision

pytest.importorskip("pycocotools")


def box(top, left, side):
    mask = np.zeros((30, 40), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def scene(number):
    """Objects of two classes, some found well, some badly, some twice, some not, and a crowd."""
    rng = np.random.default_rng(number)
    true, labels, found, of, scores = [], [], [], [], []
    for _ in range(int(rng.integers(0, 6))):
        top, left, label = int(rng.integers(0, 20)), int(rng.integers(0, 30)), int(rng.integers(0, 2))
        true.append(box(top, left, 9))
        labels.append(label)
        for _ in range(int(rng.integers(0, 3))):
            found.append(box(top + int(rng.integers(0, 3)), left + int(rng.integers(0, 3)), 9))
            of.append(label if rng.random() < 0.9 else 1 - label)
            scores.append(rng.random())
    crowd = [i == 0 and number % 3 == 0 for i in range(len(true))]
    truth = segments_of(true, labels, crowd, shape=(30, 40))
    masks = np.array(found) if found else np.zeros((0, 30, 40), bool)
    return truth, {"masks": masks, "labels": np.array(of, np.int64), "scores": np.array(scores, np.float32)}


SCENES = [scene(number) for number in range(8)]


def precision(places):
    metric = AveragePrecision(2)
    for place in places:
        truth, found = SCENES[place]
        metric.update(truth, **found)
    return metric


@pytest.mark.parametrize("weights", [[1] * 8, [2, 0, 1, 3, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1, 0, 0], [0] * 8])
def test_weighted_images_are_images_repeated(weights):
    ours = weighted_precision(precision(range(8)).weighted_objects(), np.array([weights]))[0]
    theirs = precision([i for i, times in enumerate(weights) for _ in range(times)]).compute()
    for k in range(2):
        mean = np.nan if np.isnan(ours[k]).all() else ours[k].mean()
        np.testing.assert_allclose(mean, theirs.by_class[k])
        np.testing.assert_allclose(ours[k, 0], theirs.by_class_50[k])


def test_intervals_hold_the_score_and_depend_on_names_alone():
    names = [f"image {i}" for i in range(8)]
    metric = precision(range(8))
    found, score = metric.intervals(names), metric.compute()
    for name in ("ap", "ap50", "ap75"):
        low, high = found[name]
        assert 0 <= low <= getattr(score, name) <= high <= 1
    assert set(found) == {"ap", "ap50", "ap75", "ap/0", "ap/1"}
    order = [3, 1, 0, 2, 7, 6, 5, 4]
    again = precision(order).intervals([names[i] for i in order])
    for name, ends in found.items():
        assert again[name] == pytest.approx(ends, abs=0.02)  # equal scores may stand in another order


def test_each_name_has_its_own_draws_of_mean_one():
    weights = draw_weights([f"image {i}" for i in range(500)], replicates=100)
    assert weights.shape == (100, 500)
    assert weights.mean() == pytest.approx(1, abs=0.02)
    assert (draw_weights(["image 7"], replicates=100)[:, 0] == weights[:, 7]).all()


def areas_of_a_loop(objects, weights):
    """The precision of each replicate and threshold, one after another."""
    area = np.full((len(weights), len(objects.is_right)), np.nan)
    for replicate, times in enumerate(weights):
        total = times[objects.true_images].sum()
        for threshold, (right, excused) in enumerate(zip(objects.is_right, objects.is_excused, strict=True)):
            hits = np.cumsum(times[objects.images] * right)
            wrong = np.cumsum(times[objects.images] * (~right & ~excused))
            precision = hits / np.maximum(hits + wrong, 1)
            falling = np.maximum.accumulate(precision[::-1])[::-1]
            if total:
                places = np.searchsorted(hits / total, np.linspace(0, 1, 101))
                area[replicate, threshold] = falling[places[places < len(hits)]].sum() / 101
    return area


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("chunk", [2**22, 1000])
def test_replicates_at_once_are_those_of_a_loop_to_the_last_bit(seed, chunk, monkeypatch):
    monkeypatch.setattr(precision_bootstrap, "CHUNK", chunk)
    rng = np.random.default_rng(seed)
    num_found, num_images = (7, 130)[seed % 2], (12, 40)[seed // 2]
    is_right = np.sort(rng.random((10, num_found)) < 0.5, axis=0)[::-1]
    is_right[-1] = False
    objects = WeightedObjects(
        is_right,
        ~is_right & (rng.random((10, num_found)) < 0.2),
        rng.integers(0, num_images, num_found),
        rng.integers(0, num_images, (9, 200)[seed % 2]),
    )
    weights = draw_weights([f"image {i}" for i in range(num_images)], replicates=50, seed=seed)
    weights[0] = 0
    found = weighted_precision([objects], weights)[:, 0]
    np.testing.assert_array_equal(found, areas_of_a_loop(objects, weights))
    assert np.isnan(found[0]).all() and len(np.unique(found)) > 50


def test_recall_levels_need_the_hits_that_comparing_floats_gives():
    totals = np.concatenate([np.arange(1, 3000), np.random.default_rng(0).integers(1, 10**7, 100)])
    needed = precision_bootstrap._hits_needed(totals)
    for each, total in zip(needed, totals, strict=True):
        assert (each / total >= RECALLS).all() and ((each - 1) / total < RECALLS).all()
