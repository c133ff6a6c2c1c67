import math

import pytest
import torch

from limner.core.boxes import BoxTargets
from limner.core.errors import ConfigError
from limner.core.outputs import QueryBoxes
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
