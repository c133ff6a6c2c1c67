import math
from dataclasses import replace

import pytest
import torch

from limner.core.boxes import BoxTargets
from limner.core.errors import ConfigError
from limner.core.outputs import PointBoxes
from limner.losses.box_assignment import NOBODY, assign_by_alignment, assign_by_statistics
from limner.losses.point_boxes import PointBoxLoss
from limner.networks.fcos import level_points

CPU = torch.device("cpu")


def points(size=64, strides=(8, 16)):
    return torch.cat([level_points((size // s, size // s), s, device=CPU) for s in strides])


def targets(*boxes, labels=None, ignored=()):
    xyxy = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    names = torch.tensor(labels or [0] * len(boxes), dtype=torch.long)
    return BoxTargets(xyxy, names, torch.tensor([i in ignored for i in range(len(boxes))], dtype=torch.bool))


def outputs(*, num_classes=2, logit=-4.0, side=24.0):
    """Return the same score everywhere, and a box of one size around each point."""
    at = points()
    boxes = torch.cat((at[:, :2] - side / 2, at[:, :2] + side / 2), 1)
    return PointBoxes(torch.full((1, len(at), num_classes), logit), boxes[None], at)


def align(found, boxes, labels, *, candidates=13):
    return assign_by_alignment(
        found.points, found.boxes[0], found.class_logits[0].sigmoid(), boxes, labels,
        candidates=candidates, score_power=1.0, overlap_power=6.0,
    )  # fmt: skip


def test_points_inside_a_box_that_predict_it_best_learn_it():
    found, box = outputs(), torch.tensor([[8.0, 8, 32, 32]])
    learned = align(found, box, torch.tensor([1]), candidates=4)
    chosen = found.points[learned.boxes == 0]
    # The centre of the box is (20, 20). Of stride 8, the point there predicts it exactly.
    assert len(chosen) == 4
    assert ((chosen[:, :2] > 8) & (chosen[:, :2] < 32)).all()
    best = found.points[learned.quality.argmax()]
    assert best.tolist() == [20, 20, 8]
    assert learned.quality.max().item() == pytest.approx(1)  # its IoU
    assert learned.quality[learned.boxes == NOBODY].sum() == 0


def test_a_point_in_two_boxes_learns_the_one_that_it_predicts_better():
    found = outputs()
    boxes = torch.tensor([[0.0, 0, 64, 64], [8, 8, 32, 32]])
    learned = align(found, boxes, torch.tensor([0, 0]))
    centre = (found.points == torch.tensor([20.0, 20, 8])).all(1)
    assert learned.boxes[centre].item() == 1


@pytest.mark.parametrize("box", [[19.0, 19, 21, 21], [0.2, 0.2, 1, 1]])
def test_a_box_without_a_point_is_learned_by_the_nearest(box):
    found, boxes = outputs(), torch.tensor([box])
    aligned = align(found, boxes, torch.tensor([0]))
    by_statistics = assign_by_statistics(found.points, found.boxes[0], boxes)
    for learned in (aligned, by_statistics):
        assert (learned.boxes == 0).sum() >= 1


def test_statistics_choose_the_level_whose_anchors_fit():
    # Anchors of 64 pixels at stride 8 and of 128 at stride 16: the box of 60 pixels fits the first.
    at = points(128)
    found = torch.cat((at[:, :2] - 30, at[:, :2] + 30), 1)
    learned = assign_by_statistics(at, found, torch.tensor([[30.0, 30, 90, 90]]))
    assert set(at[learned.boxes == 0, 2].tolist()) == {8.0}


def test_the_loss_by_hand():
    loss = PointBoxLoss(focus=0.0, class_weight=1.0, box_weight=1.0)
    found = outputs(num_classes=1, logit=0.0)
    parts = loss(found, [targets([8, 8, 32, 32])])
    learned = align(found, torch.tensor([[8.0, 8, 32, 32]]), torch.tensor([0]))
    # A logit of 0 has a cross-entropy of ln 2, whatever is to learn.
    total = learned.quality.sum().clamp(min=1)
    assert parts["class"].item() == pytest.approx(len(found.points) * math.log(2) / total.item(), rel=1e-5)
    assert 0 < parts["box"] < 1


def test_an_image_without_boxes_learns_that_there_is_nothing():
    found = outputs()
    parts = PointBoxLoss()(found, [targets()])
    assert parts["box"] == 0
    error = torch.tensor(-4.0).sigmoid()
    of_each = error**2 * torch.nn.functional.softplus(torch.tensor(-4.0))
    assert parts["class"].item() == pytest.approx((of_each * found.class_logits.numel()).item(), rel=1e-4)


def test_points_in_ignored_boxes_learn_nothing():
    found = outputs()
    everything = [targets([0, 0, 64, 64], ignored=(0,))]
    assert PointBoxLoss()(found, everything)["class"] == 0
    half = [targets([0, 0, 64, 32], ignored=(0,))]
    none = PointBoxLoss()(found, [targets()])["class"]
    assert PointBoxLoss()(found, half)["class"].item() == pytest.approx(none.item() / 2)
    # A true box inside it is learned all the same.
    both = PointBoxLoss()(found, [targets([0, 0, 64, 64], [8, 8, 32, 32], ignored=(0,))])
    assert both["class"] > 0 and both["box"] > 0


def test_better_boxes_and_scores_cost_less():
    truth = [targets([8, 8, 32, 32])]
    loss = PointBoxLoss()
    assert loss(outputs(side=24), truth)["box"] < loss(outputs(side=60), truth)["box"]
    sure = outputs()
    best = (sure.points == torch.tensor([20.0, 20, 8])).all(1)
    sure.class_logits[0, best, 0] = 3.0
    assert loss(sure, truth)["class"] < loss(outputs(), truth)["class"]


@pytest.mark.parametrize("options", [{"assignment": "nearest"}, {"candidates": 0}, {"box_weight": -1}])
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        PointBoxLoss(**options)


def searched_for(target, *classes):
    return replace(target, complete=torch.tensor(classes, dtype=torch.long))


def test_classes_that_an_image_was_not_searched_for_count_only_where_they_are_drawn():
    loss = PointBoxLoss(focus=0.0, class_weight=1.0)
    found, truth = outputs(num_classes=3, logit=0.0), targets([8, 8, 32, 32], labels=[1])
    learned = align(found, truth.xyxy, truth.labels)
    num_points, num_there = len(found.points), int((learned.boxes != NOBODY).sum())
    total = learned.quality.sum().clamp(min=1).item()
    # A logit of 0 has a cross-entropy of ln 2, whatever is to learn; so the scores that count are counted.
    for classes, counted in {
        (): num_there,
        (0,): num_points + num_there,
        (1,): num_points,
        (0, 2): 2 * num_points + num_there,
        (0, 1, 2): 3 * num_points,
    }.items():
        parts = loss(found, [searched_for(truth, *classes)])
        assert parts["class"].item() == pytest.approx(counted * math.log(2) / total, rel=1e-5)
    everything = loss(found, [truth])
    assert loss(found, [searched_for(truth, 0, 1, 2)])["class"] == everything["class"]
    assert loss(found, [searched_for(truth)])["box"] == everything["box"]


def test_each_image_has_its_own_classes():
    one = outputs()
    both = PointBoxes(one.class_logits.repeat(2, 1, 1), one.boxes.repeat(2, 1, 1), one.points)
    both.class_logits.requires_grad_()
    PointBoxLoss()(both, [searched_for(targets(), 1), targets()])["class"].backward()
    is_learned = both.class_logits.grad.abs().sum(1) > 0
    assert is_learned.tolist() == [[False, True], [True, True]]


def test_crowds_are_left_out_of_classes_that_were_searched_for_too():
    found = outputs()
    half = targets([0, 0, 64, 32], ignored=(0,))
    of_one = PointBoxLoss()(found, [searched_for(targets(), 0)])["class"].item()
    assert PointBoxLoss()(found, [searched_for(half, 0)])["class"].item() == pytest.approx(of_one / 2)
