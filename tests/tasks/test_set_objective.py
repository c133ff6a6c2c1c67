import pytest
import torch

from limner.core.batch import Batch
from limner.core.errors import ConfigError
from limner.core.label_map import LabelMap
from limner.core.labels import IGNORE_INDEX, LabelClass, LabelTable
from limner.core.outputs import DenseLogits, QueryMasks
from limner.core.plan import LossPlan, LossTerm
from limner.core.segments import Segments, SegmentTargets
from limner.tasks import find_task
from limner.tasks.set_objective import regions_of

PLAN = LossPlan(terms=(LossTerm(name="segment_set", options={"num_points": 64}),))


def table(num_classes: int) -> LabelTable:
    return LabelTable(tuple(LabelClass(f"class {i}", (i,), (i, i, i)) for i in range(num_classes)))


def outputs(num_classes: int) -> QueryMasks:
    torch.manual_seed(0)
    return QueryMasks(
        torch.randn(2, 5, num_classes + 1), torch.randn(2, 5, 8), torch.randn(2, 8, 4, 4, requires_grad=True)
    )


def test_each_class_of_a_label_map_is_one_segment() -> None:
    semantic = torch.tensor([[0, 0, 2], [2, IGNORE_INDEX, 0]], dtype=torch.uint8)
    (targets,) = regions_of(semantic[None], num_classes=3)
    assert targets.labels.tolist() == [0, 2]
    assert targets.masks.tolist() == [
        [[True, True, False], [False, False, True]],
        [[False, False, True], [True, False, False]],
    ]


@pytest.mark.parametrize("task", ["semantic", "instance", "panoptic"])
def test_the_loss_has_a_gradient_also_where_an_image_is_empty(task: str) -> None:
    empty = SegmentTargets(torch.zeros(0, 16, 16, dtype=torch.bool), torch.zeros(0, dtype=torch.long))
    one = SegmentTargets(torch.ones(1, 16, 16, dtype=torch.bool), torch.tensor([1]))
    batch = Batch(torch.zeros(2, 3, 16, 16), ("a", "b"), {Segments: (empty, one)})
    if task == "semantic":
        batch = Batch(batch.images, ("a", "b"), {LabelMap: torch.full((2, 16, 16), 1, dtype=torch.uint8)})
    made = outputs(3)
    value = find_task(task).build_criterion(PLAN, labels=table(3)).loss(made, batch)
    value.total.backward()
    assert torch.isfinite(value.total)
    assert made.features.grad is not None
    assert float(sum(value.parts.values())) == pytest.approx(float(value.total.detach()))


def test_what_does_not_fit_is_refused() -> None:
    task = find_task("instance").build_criterion(PLAN, labels=table(4))
    batch = Batch(torch.zeros(2, 3, 8, 8), ("a", "b"), {LabelMap: torch.zeros(2, 8, 8, dtype=torch.uint8)})
    with pytest.raises(ConfigError, match="logits for 4 classes and 'no object'"):
        task.loss(outputs(3), batch)
    with pytest.raises(ConfigError, match="DenseLogits"):
        task.loss(DenseLogits(torch.zeros(2, 4, 8, 8)), batch)
    with pytest.raises(ConfigError, match="segment_set"):
        find_task("instance").build_criterion(LossPlan(), labels=table(4))
    with pytest.raises(ConfigError, match="segment_set"):
        find_task("semantic").build_criterion(LossPlan(), labels=table(3)).loss(outputs(3), batch)
