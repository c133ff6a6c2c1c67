import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import SemanticPrediction
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.evaluation.semantic_scores import foreground_index


def labels(*names):
    return LabelTable(tuple(LabelClass(n, (i,), (i, i, i)) for i, n in enumerate(names)))


def row(*values):
    return np.array([values], np.uint8)


def test_scores_are_pooled_over_images_and_each_image_has_its_own():
    scorer = SemanticScorer(labels("background", "cell"))
    one = scorer.update(SemanticPrediction("one", row(1, 1, 0, 0)), row(1, 0, 0, 0))
    two = scorer.update(SemanticPrediction("two", row(0, 0, 0, 1)), row(1, 1, 1, 1))
    # Image one: TP 1, FP 1, so Dice 2 / 3. Image two: TP 1, FN 3, so Dice 2 / 5.
    assert one.parts.foreground_dice == pytest.approx(2 / 3) and one.name == "one"
    assert two.parts.foreground_dice == pytest.approx(2 / 5)
    scores = scorer.compute()
    # Pooled: TP 2, FP 1, FN 3, so 4 / 8; this is not the mean of the two.
    assert scores.parts.foreground_dice == pytest.approx(0.5)
    assert scores.num_images == 2 and scores.confusion.tolist() == [[2, 1], [3, 2]]
    found = dict(scores.items())
    # Background: TP 2, FP 3, FN 1. IoU 2 / 6, cell 2 / 6.
    assert found["mean_iou"] == pytest.approx(1 / 3)
    assert found["iou/cell"] == pytest.approx(1 / 3) and found["dice/cell"] == pytest.approx(0.5)
    assert found["pixel_accuracy"] == pytest.approx(4 / 8)


def test_foreground_dice_leaves_out_the_class_named_background_wherever_it_stands():
    scorer = SemanticScorer(labels("a", "Background", "b"))
    scores = scorer.update(SemanticPrediction("x", row(0, 1, 1, 2, 2)), row(0, 1, 2, 2, 2))
    # a and b pooled: TP 1 + 2, FP 0, FN 1: 6 / 7
    assert scores.parts.foreground_dice == pytest.approx(6 / 7)


def test_an_image_of_background_alone_has_no_foreground_score():
    scorer = SemanticScorer(labels("background", "cell"))
    empty = scorer.update(SemanticPrediction("x", row(0, 0)), row(0, 255))
    assert math.isnan(empty.parts.foreground_dice)
    assert empty.parts.pixel.mean_iou == 1 and empty.parts.pixel.num_absent == 1


def test_merge_equals_one_scorer():
    draw = np.random.default_rng(0)
    pairs = [draw.integers(0, 3, (2, 5, 6)).astype(np.uint8) for _ in range(4)]
    whole, one, other = (SemanticScorer(labels("background", "a", "b")) for _ in range(3))
    for number, (truth, predicted) in enumerate(pairs):
        for scorer in (whole, one if number < 2 else other):
            scorer.update(SemanticPrediction("x", predicted), truth)
    one.merge(other)
    assert dict(one.compute().items()) == dict(whole.compute().items())
    assert one.compute().num_images == 4


def drawn(number, num_classes=3):
    truth, predicted = np.random.default_rng(number).integers(0, num_classes, (2, 12, 15)).astype(np.uint8)
    sure = np.random.default_rng(number).random(truth.shape).astype(np.float32)
    return SemanticPrediction(str(number), predicted, np.stack([1 - sure, sure])), truth


@given(st.lists(st.booleans(), min_size=6, max_size=6), st.permutations(range(6)))
@settings(max_examples=5, deadline=None)
def test_however_images_are_shared_among_workers_the_scores_are_the_same(shares, order):
    """Sums of floats differ in their last digits with the order; everything else must not at all."""
    options = {"boundaries": True, "thresholds": True, "uncertainty": True}
    table = labels("background", "a")
    whole, one, other = (SemanticScorer(table, **options) for _ in range(3))
    for number in range(6):
        whole.update(*drawn(number, 2))
    for number in order:
        (one if shares[number] else other).update(*drawn(number, 2))
    one.merge(other)
    merged, alone = one.compute(), whole.compute()
    assert merged.intervals == alone.intervals and dict(merged.items()) == dict(alone.items())
    for name, spread in alone.per_image.items():
        assert merged.per_image[name].median == spread.median
        assert merged.per_image[name].mean == pytest.approx(spread.mean)
    assert merged.thresholds.best == alone.thresholds.best


@given(st.permutations(range(3)))
def test_naming_the_classes_otherwise_changes_no_score(order):
    names = ("a", "b", "c")
    straight = SemanticScorer(labels(*names), boundaries=True)
    renamed = SemanticScorer(labels(*(names[order.index(i)] for i in range(3))), boundaries=True)
    lookup = np.array(order, np.uint8)
    for number in range(3):
        prediction, truth = drawn(number)
        straight.update(prediction, truth)
        renamed.update(SemanticPrediction(prediction.name, lookup[prediction.semantic]), lookup[truth])
    one, other = dict(straight.compute().items()), dict(renamed.compute().items())
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert other[name] == pytest.approx(value), name


def test_thresholds_need_two_classes():
    assert foreground_index(labels("background", "polyp")) == 1
    assert foreground_index(labels("polyp", "background")) == 0
    with pytest.raises(ConfigError, match="this model has 3: a, b, c"):
        foreground_index(labels("a", "b", "c"))


def in_steps(spacing_mm, *, shift, name="x"):
    """A region of 2 x 2 pixels, found `shift` columns to the right of it."""
    truth, predicted = np.zeros((2, 6, 8), np.uint8)
    truth[2:4, 1:3] = predicted[2:4, 1 + shift : 3 + shift] = 1
    return SemanticPrediction(name, predicted), truth, spacing_mm


def test_distances_are_in_millimetres_where_the_spacing_is_known():
    scorer = SemanticScorer(labels("background", "cell"), cases=True)
    prediction, truth, spacing = in_steps((1.0, 0.25), shift=2)
    rows = scorer.update(prediction, truth, spacing_mm=spacing)
    values = dict(zip(scorer.columns, rows.numbers, strict=True))
    # Half of the pixels of each are one column of 0.25 mm from the other, half of them two.
    assert values["hd95/cell"] == pytest.approx(0.5)
    assert values["surface_distance/cell"] == pytest.approx(0.375)
    assert values["volume_difference/cell"] == 0 and math.isnan(values["hd95/background"])
    written = scorer.compute().to_dict()
    assert written["length_unit"] == "mm" and written["mean_hd95"] == pytest.approx(0.5)
    assert written["notes"] == []


def test_pixels_are_the_unit_where_the_spacing_is_unknown_and_are_said():
    scorer = SemanticScorer(labels("background", "cell"), cases=True)
    prediction, truth, _ = in_steps(None, shift=2)
    scorer.update(prediction, truth)
    written = scorer.compute().to_dict()
    assert written["length_unit"] == "pixels" and written["mean_hd95"] == pytest.approx(2)
    assert "distances are in pixels" in written["notes"][0]


def test_images_of_another_unit_are_left_out_of_the_distances_and_said():
    scorer = SemanticScorer(labels("background", "cell"), cases=True)
    for number, spacing in enumerate(((1.0, 0.25), None)):
        prediction, truth, _ = in_steps(spacing, shift=1, name=str(number))
        scorer.update(prediction, truth, spacing_mm=spacing)
    scores = scorer.compute()
    assert scores.parts.case.cases[1] == 1 and scores.parts.case.hd95[1] == pytest.approx(0.25)
    assert scores.parts.pixel.pixels.sum() == 2 * 48
    assert "1 of the images have no distances" in scores.to_dict()["notes"][0]


def test_distances_have_the_same_intervals_in_any_order():
    whole, turned = (SemanticScorer(labels("background", "cell"), cases=True, uncertainty=True) for _ in "ab")
    for scorer, order in ((whole, range(6)), (turned, reversed(range(6)))):
        for number in order:
            prediction, truth, spacing = in_steps((1.0, 1.0), shift=number % 4, name=str(number))
            scorer.update(prediction, truth, spacing_mm=spacing)
    assert whole.compute().intervals == turned.compute().intervals
    low, high = whole.compute().intervals["mean_hd95"]
    assert low < whole.compute().parts.case.hd95[1] < high
