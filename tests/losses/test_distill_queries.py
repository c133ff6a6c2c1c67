import pytest
import torch

from limner.core.errors import ConfigError
from limner.core.outputs import QueryMasks
from limner.core.segments import SegmentTargets
from limner.losses.distill_queries import QueryDistillationLoss
from limner.losses.segment_set import SegmentSetLoss

SURE = 40.0


def queries(classes, masks, auxiliary=()) -> QueryMasks:
    """One image: a row of logits for each query, and its mask logits (H, W), each a channel of its own."""
    maps = torch.stack(masks)
    embeddings = torch.eye(len(masks))[None]
    return QueryMasks(torch.tensor([classes], dtype=torch.float32), embeddings, maps[None], auxiliary)


def half(left: bool, value: float = SURE) -> torch.Tensor:
    mask = torch.full((8, 8), -value)
    mask[:, :4] = value if left else -value
    mask[:, 4:] = -value if left else value
    return mask


NOTHING = [0.0, 0.0, SURE]


def test_a_student_that_finds_the_same_in_another_order_loses_next_to_nothing() -> None:
    teacher = queries([[SURE, 0, 0], [0, SURE, 0], NOTHING], [half(True), half(False), half(True)])
    student = queries([NOTHING, [0, SURE, 0], [SURE, 0, 0]], [half(False), half(False), half(True)])
    loss = QueryDistillationLoss(num_points=64)
    same = loss.distance(student, teacher).item()
    assert 0 <= same < 0.5, "what is left is the entropy of the teacher at the edges of its masks"
    swapped = queries([NOTHING, [0, SURE, 0], [SURE, 0, 0]], [half(False), half(True), half(False)])
    assert loss.distance(swapped, teacher).item() > 20 * max(same, 0.5)


def test_classes_are_learned_as_probabilities() -> None:
    # The teacher says 3/4 and 1/4: a student that says the same has the entropy, one that is sure has more.
    logits = torch.tensor([0.75, 0.25, 1e-12]).log().tolist()
    teacher = queries([logits], [half(True)])
    loss = QueryDistillationLoss(class_weight=1.0, mask_weight=0.0, dice_weight=0.0, num_points=16)
    entropy = -(0.75 * torch.tensor(0.75).log() + 0.25 * torch.tensor(0.25).log())
    assert loss.distance(teacher, teacher).item() == pytest.approx(entropy.item(), rel=1e-4)
    sure = queries([[5.0, 0.0, -20.0]], [half(True)])
    assert loss.distance(sure, teacher).item() > entropy.item() + 0.5


def test_with_a_sure_teacher_it_is_the_loss_of_the_labels() -> None:
    torch.manual_seed(0)
    teacher = queries([[SURE, 0, 0], [0, SURE, 0]], [half(True), half(False)])
    early = queries(torch.randn(3, 3).tolist(), [torch.randn(8, 8) for _ in range(3)])
    student = queries(torch.randn(3, 3).tolist(), [torch.randn(8, 8) for _ in range(3)], (early,))
    masks = torch.stack([half(True), half(False)]) > 0
    truth = SegmentTargets(masks, torch.tensor([0, 1]))
    options = {"num_points": 200, "no_object_weight": 0.3}
    expected = SegmentSetLoss(**options)(student, [truth], generator=torch.Generator().manual_seed(1))
    loss = QueryDistillationLoss(**options)
    found = loss.distance(student, teacher, generator=torch.Generator().manual_seed(1))
    # Not exactly: true masks have edges of a pixel, which the teacher's probabilities cross more steeply.
    assert found.item() == pytest.approx(sum(expected.values()).item(), rel=0.03)


def test_queries_that_found_little_are_left_out_and_every_parameter_still_gets_a_gradient() -> None:
    teacher = queries([[0.0, 0.0, 0.5], NOTHING], [half(True), half(False)])
    loss = QueryDistillationLoss(num_points=16)
    assert [len(one.labels) for one in loss.found(teacher)] == [0]
    assert [len(one.labels) for one in QueryDistillationLoss(least_score=0.2).found(teacher)] == [1]
    student = queries([[1.0, 0, 0], [0, 1.0, 0]], [half(True, 1.0), half(False, 1.0)])
    leaves = [student.class_logits.requires_grad_(), student.embeddings.requires_grad_()]
    loss.distance(student, teacher).backward()
    assert all(leaf.grad is not None for leaf in leaves)
    with pytest.raises(ConfigError, match="least_score"):
        QueryDistillationLoss(least_score=2)
