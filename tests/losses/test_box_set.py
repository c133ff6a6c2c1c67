import math
from dataclasses import replace

import pytest
import torch

from limner.core.boxes import BoxTargets
from limner.core.errors import ConfigError
from limner.core.outputs import NOTHING, DenoisedBoxes, QueryBoxes
from limner.losses.box_set import BoxSetLoss

SIZE = (100, 200)


def outputs(boxes, logits):
    return QueryBoxes(torch.tensor([logits]), torch.tensor([boxes]))


def target(xyxy, labels, ignored=()):
    flags = torch.tensor([i in ignored for i in range(len(labels))], dtype=torch.bool)
    return BoxTargets(
        torch.tensor(xyxy, dtype=torch.float32).reshape(-1, 4), torch.tensor(labels, dtype=torch.long), flags
    )


def test_a_perfect_box_costs_only_its_class():
    # Middle (0.5, 0.5), a quarter wide, half high: from x 75 to 125 and y 25 to 75.
    found = outputs([[0.5, 0.5, 0.25, 0.5], [0.1, 0.1, 0.1, 0.1]], [[0.0, -50.0], [-50.0, -50.0]])
    parts = BoxSetLoss()(found, [target([[75, 25, 125, 75]], [0])], SIZE)
    assert parts["distance"] == 0 and parts["overlap"].item() == pytest.approx(0, abs=1e-6)
    # Focal loss at a probability of one half: 0.25 * 0.5^2 * ln 2, times 2.
    assert parts["class"].item() == pytest.approx(2 * 0.25 * 0.25 * math.log(2))


def test_the_query_nearest_in_class_and_box_is_matched():
    found = outputs([[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.25, 0.5]], [[0.0, 0.0], [0.0, 0.0]])
    parts = BoxSetLoss()(found, [target([[75, 25, 125, 75]], [1])], SIZE)
    assert parts["distance"] == 0


def test_an_image_without_objects_teaches_that_there_is_nothing():
    found = outputs([[0.5, 0.5, 0.2, 0.2]], [[0.0, 0.0]])
    for truth in (target([], []), target([[0, 0, 50, 50]], [0], ignored=(0,))):
        parts = BoxSetLoss()(found, [truth], SIZE)
        assert parts["distance"] == parts["overlap"] == 0
        assert parts["class"].item() == pytest.approx(2 * 2 * 0.75 * 0.25 * math.log(2))


def test_earlier_layers_and_the_first_stage_count():
    last = outputs([[0.5, 0.5, 0.2, 0.2]], [[0.0, 0.0]])
    both = QueryBoxes(last.class_logits, last.boxes, (last,), last)
    truth = [target([[75, 25, 125, 75]], [1])]
    one, all_layers = BoxSetLoss()(last, truth, SIZE), BoxSetLoss()(both, truth, SIZE)
    for name in ("class", "distance", "overlap"):
        assert all_layers[name].item() == pytest.approx(2 * one[name].item())
        assert all_layers[f"first_{name}"].item() == pytest.approx(one[name].item())


def test_more_objects_than_queries():
    found = outputs([[0.5, 0.5, 0.2, 0.2]], [[0.0, 0.0]])
    truth = [target([[0, 0, 50, 50], [75, 25, 125, 75], [10, 10, 20, 20]], [0, 1, 1])]
    assert all(value.isfinite() for value in BoxSetLoss()(found, truth, SIZE).values())


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="class_weight"):
        BoxSetLoss(class_weight=-1)
    with pytest.raises(ConfigError, match="focal or varifocal"):
        BoxSetLoss(scores="dice")


def test_varifocal_scores_learn_the_iou():
    # The box covers the right half of the true one: an IoU of a half.
    found = outputs([[0.25, 0.5, 0.25, 1.0], [0.9, 0.9, 0.1, 0.1]], [[0.0], [0.0]])
    parts = BoxSetLoss(scores="varifocal", class_weight=1.0)(found, [target([[25, 0, 125, 100]], [0])], SIZE)
    # Cross-entropy of 0.5 with 0.5 is ln 2, weighted by 0.5; of nothing 0.75 * 0.5^2 * ln 2.
    assert parts["class"].item() == pytest.approx((0.5 + 0.75 * 0.25) * math.log(2))


def test_the_cost_of_the_class_decides_the_pairs_alone():
    found = outputs([[0.5, 0.5, 0.25, 0.5], [0.5, 0.5, 0.25, 0.45]], [[-3.0], [3.0]])
    truth = [target([[75, 25, 125, 75]], [0])]
    by_class = BoxSetLoss(class_weight=2.0)(found, truth, SIZE)
    by_box = BoxSetLoss(class_weight=2.0, class_cost=0.0)(found, truth, SIZE)
    assert by_class["distance"] > 0 and by_box["distance"] == 0


def test_copies_are_compared_with_their_own_box():
    box = [0.5, 0.5, 0.25, 0.5]
    copy = QueryBoxes(torch.zeros(1, 3, 1), torch.tensor([[[0.1, 0.1, 0.1, 0.1], box, box]]))
    last = outputs([box], [[50.0]])
    both = QueryBoxes(
        last.class_logits,
        last.boxes,
        denoised=DenoisedBoxes((copy, copy), torch.tensor([[NOTHING, 0, NOTHING]]), 1),
    )
    parts = BoxSetLoss(class_weight=1.0)(both, [target([[75, 25, 125, 75]], [0])], SIZE)
    assert parts["noisy_distance"] == 0 and parts["noisy_overlap"].item() == pytest.approx(0, abs=1e-6)
    # In each of two layers one is right and two are nothing, by focal loss at a probability of one half.
    assert parts["noisy_class"].item() == pytest.approx(2 * (0.25 + 2 * 0.75) * 0.25 * math.log(2))


ONE, ZERO = 0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)
"""Focal loss at a logit of 0, of a class that is there and of one that is not."""


def searched_for(truth, *classes):
    return replace(truth, complete=torch.tensor(classes, dtype=torch.long))


@pytest.mark.parametrize(("classes", "num_zero"), [((), 0), ((0,), 1), ((1,), 2), ((0, 1), 3)])
@pytest.mark.parametrize(("scores", "one"), [("focal", ONE), ("varifocal", math.log(2))])
def test_classes_that_an_image_was_not_searched_for_count_only_where_they_are_matched(
    classes, num_zero, scores, one
):
    # Two queries and two classes; the first query has the perfect box of an object of class 0.
    found = outputs([[0.5, 0.5, 0.25, 0.5], [0.1, 0.1, 0.1, 0.1]], [[0.0, 0.0], [0.0, 0.0]])
    truth = target([[75, 25, 125, 75]], [0])
    loss = BoxSetLoss(scores=scores, class_weight=1.0)
    parts = loss(found, [searched_for(truth, *classes)], SIZE)
    assert parts["class"].item() == pytest.approx(one + num_zero * ZERO)
    assert parts["distance"] == 0
    if len(classes) == 2:
        assert parts["class"] == loss(found, [truth], SIZE)["class"]


def test_each_image_was_searched_for_its_own_classes():
    logits = torch.zeros(2, 3, 2, requires_grad=True)
    found = QueryBoxes(logits, torch.full((2, 3, 4), 0.5))
    BoxSetLoss()(found, [searched_for(target([], []), 1), target([], [])], SIZE)["class"].backward()
    assert (logits.grad.abs().sum(1) > 0).tolist() == [[False, True], [True, True]]


def test_copies_and_earlier_layers_know_the_classes_and_a_first_stage_has_none():
    box = [0.5, 0.5, 0.25, 0.5]
    last = outputs([box], [[0.0, 0.0]])
    copies = QueryBoxes(torch.zeros(1, 2, 2), torch.tensor([[box, box]]))
    whole = QueryBoxes(
        last.class_logits,
        last.boxes,
        (last,),
        last,
        DenoisedBoxes((copies,), torch.tensor([[0, NOTHING]]), 1),
    )
    truth = searched_for(target([[75, 25, 125, 75]], [0]))
    parts = BoxSetLoss(class_weight=1.0)(whole, [truth], SIZE)
    assert parts["class"].item() == pytest.approx(2 * ONE)
    assert parts["noisy_class"].item() == pytest.approx(ONE)
    assert parts["first_class"].item() == pytest.approx(ONE + ZERO)
