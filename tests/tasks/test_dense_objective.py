import pytest
import torch

from limner.core.batch import Batch
from limner.core.errors import ConfigError
from limner.core.label_map import LabelMap
from limner.core.outputs import AuxiliaryLogits, DenseLogits
from limner.core.plan import LossPlan, LossTerm
from limner.tasks.dense_objective import DenseCriterion

TARGET = torch.randint(0, 3, (2, 8, 8), dtype=torch.uint8)
BATCH = Batch(torch.zeros(2, 1, 8, 8), ("a", "b"), {LabelMap: TARGET})


def test_the_total_is_the_weighted_sum_and_side_heads_count_with_their_weight():
    task = DenseCriterion(
        LossPlan(terms=(LossTerm(name="cross_entropy"), LossTerm(name="dice", weight=3))), num_classes=3
    )
    main, side = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    alone = task.loss(DenseLogits(main), BATCH)
    of_side = task.loss(DenseLogits(side), BATCH).total
    both = task.loss(DenseLogits(main, (AuxiliaryLogits(side, 0.4),)), BATCH)
    cross_entropy = torch.nn.functional.cross_entropy(main, TARGET.long())
    assert alone.parts["cross_entropy"].item() == pytest.approx(cross_entropy.item(), rel=1e-5)
    assert alone.total.item() == pytest.approx(sum(p.item() for p in alone.parts.values()), rel=1e-5)
    assert both.total.item() == pytest.approx((alone.total + 0.4 * of_side).item(), rel=1e-5)


def test_the_main_scores_count_with_the_weight_that_the_network_gives_them():
    task = DenseCriterion(LossPlan(), num_classes=3)
    logits = torch.randn(2, 3, 8, 8)
    whole = task.loss(DenseLogits(logits), BATCH).total.item()
    assert task.loss(DenseLogits(logits, weight=0.25), BATCH).total.item() == pytest.approx(0.25 * whole)


def test_coarse_logits_are_compared_at_the_labels_resolution():
    task = DenseCriterion(LossPlan(), num_classes=3)
    coarse = torch.randn(2, 3, 2, 2, requires_grad=True)
    value = task.loss(DenseLogits(coarse), BATCH).total
    value.backward()
    full = torch.nn.functional.interpolate(coarse, size=(8, 8), mode="bilinear", align_corners=False)
    expected = torch.nn.functional.cross_entropy(full, TARGET.long())
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert coarse.grad is not None


def test_a_head_that_does_not_fit_the_data_is_refused():
    task = DenseCriterion(LossPlan(), num_classes=4)
    with pytest.raises(
        ConfigError, match="has 3 output classes, but the data has 4; build it with num_classes=4"
    ):
        task.loss(DenseLogits(torch.zeros(2, 3, 8, 8)), BATCH)
