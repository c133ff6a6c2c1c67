"""Losses between a student and its teacher: values worked out by hand, and properties that all share."""

import math

import pytest
import torch
import torch.nn.functional as F

from limner.core.errors import ConfigError
from limner.core.plan import LossTerm
from limner.losses import DISTILLATIONS, build_loss
from limner.losses.distill_dist import correlation

LN3 = math.log(3)


def loss_named(name, **options):
    return build_loss(LossTerm(name=name, options=options))


@pytest.mark.parametrize("name", DISTILLATIONS)
@pytest.mark.parametrize("spatial", [(4, 5), (2, 3, 4)], ids=["2d", "3d"])
def test_a_student_like_its_teacher_costs_nothing_and_learns_to_be(name, spatial):
    torch.manual_seed(0)
    teacher, counted = torch.randn(6, 3, *spatial), torch.ones(6, *spatial, dtype=torch.bool)
    student = torch.randn(6, 3, *spatial, requires_grad=True)
    loss = loss_named(name)
    assert loss(teacher, teacher, counted).item() == pytest.approx(0, abs=1e-5)
    before = loss(student, teacher, counted)
    before.backward()
    assert before > 0.1
    assert loss(student.detach() - 0.5 * student.grad, teacher, counted) < before


@pytest.mark.parametrize("name", ["distill_soft", "distill_dist"])
def test_ignored_pixels_change_neither_loss_nor_gradient(name):
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 4, 4)
    counted = torch.ones(2, 4, 4, dtype=torch.bool)
    counted[:, :2] = False
    other = teacher.clone()
    other[:, :, :2] += 3
    value = loss_named(name)(student, teacher, counted)
    value.backward()
    assert value.item() == pytest.approx(loss_named(name)(student, other, counted).item(), rel=1e-6)
    assert student.grad[:, :, :2].abs().max() == 0
    assert student.grad[:, :, 2:].abs().max() > 0
    assert torch.isfinite(loss_named(name)(student, teacher, torch.zeros_like(counted)))


def test_channel_wise_distillation_has_all_pixels_in_its_softmax():
    student, teacher = torch.zeros(1, 1, 1, 2), torch.tensor([[[[LN3, 0.0]]]])
    nothing = torch.zeros(1, 1, 2, dtype=torch.bool)
    # Teacher 3/4, 1/4; student 1/2, 1/2: 3/4 ln(3/2) + 1/4 ln(1/2).
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert loss_named("distill_cwd")(student, teacher, nothing).item() == pytest.approx(expected)
    # Two equal images of two equal channels: the mean over both is the same.
    both = [tensor.expand(2, 2, 1, 2) for tensor in (student, teacher)]
    assert loss_named("distill_cwd")(*both, nothing).item() == pytest.approx(expected)


def test_soft_targets_by_hand_and_against_pytorch():
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[LN3, 0.0]])
    counted = torch.ones(1, dtype=torch.bool)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert loss_named("distill_soft")(student, teacher, counted).item() == pytest.approx(expected)
    # At temperature 2 the teacher's odds are sqrt(3) : 1; the factor is 4.
    p = math.sqrt(3) / (1 + math.sqrt(3))
    expected = 4 * (p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p)))
    warm = loss_named("distill_soft", temperature=2.0)
    assert warm(student, teacher, counted).item() == pytest.approx(expected)
    torch.manual_seed(0)
    student, teacher = torch.randn(7, 5), torch.randn(7, 5)
    theirs = F.kl_div(student.log_softmax(1), teacher.softmax(1), reduction="batchmean")
    found = loss_named("distill_soft")(student, teacher, torch.ones(7, dtype=torch.bool))
    assert found.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_correlation_is_that_of_pytorch_and_knows_no_scale():
    torch.manual_seed(0)
    first, second = torch.randn(3, 9), torch.randn(3, 9)
    theirs = torch.corrcoef(torch.cat((first, second)))[:3, 3:].diagonal()
    assert torch.allclose(correlation(first, second), theirs, atol=1e-6)
    assert torch.allclose(correlation(3 * first + 1, first), torch.ones(3), atol=1e-6)


def test_distillation_by_correlation_by_hand():
    # Of two pixels, student and teacher agree in the first; in the second their classes are opposed.
    teacher = torch.tensor([[0.5, 0.3, 0.2], [0.6, 1 / 3, 1 / 15]]).log()
    student = torch.tensor([[0.5, 0.3, 0.2], [1 / 15, 1 / 3, 0.6]]).log()
    counted = torch.ones(2, dtype=torch.bool)
    found = loss_named("distill_dist", within=0.0)(student, teacher, counted).item()
    assert found == pytest.approx(1 - (1 - 1) / 2, abs=1e-5)
    # Between two pixels, each class either rises or falls: the first and the last are opposed.
    found = loss_named("distill_dist", between=0.0)(student, teacher, counted).item()
    assert found == pytest.approx(1 - (-1 + 1 - 1) / 3, abs=1e-5)


@pytest.mark.parametrize("name", DISTILLATIONS)
def test_options_out_of_range_are_refused(name):
    with pytest.raises(ConfigError, match=name):
        loss_named(name, temperature=0.0)
