"""Losses of classes of whole images: by number, and by shares."""

import math

import pytest
import torch

from limner.core.errors import ConfigError, UnknownNameError
from limner.core.plan import LossTerm
from limner.losses import CLASS_LOSSES, TAG_LOSSES, build_loss

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, -1.0]])
CLASSES = torch.tensor([0, 2])
ONE_HOT = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def made(name, table=CLASS_LOSSES, class_weights=None, **options):
    return build_loss(LossTerm(name=name, options=options), losses=table, class_weights=class_weights)


@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 5.0)])
@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_one_hot_shares_are_classes(name, weights):
    loss = made(name, class_weights=weights)
    assert loss(LOGITS, ONE_HOT).item() == pytest.approx(loss(LOGITS, CLASSES).item(), rel=1e-6)


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_a_perfect_prediction_costs_nothing_and_gradients_are_finite(name):
    loss = made(name)
    assert loss(50 * ONE_HOT, CLASSES).item() == pytest.approx(0, abs=1e-6)
    logits = LOGITS.clone().requires_grad_()
    loss(logits, 0.3 * ONE_HOT + 0.7 * ONE_HOT.flip(0)).backward()
    assert logits.grad.isfinite().all() and logits.grad.abs().sum() > 0


def test_mixed_shares_are_the_mixture_of_the_losses():
    loss = made("cross_entropy")
    mixed = loss(LOGITS, 0.3 * ONE_HOT + 0.7 * ONE_HOT.flip(0))
    assert mixed.item() == pytest.approx(
        0.3 * loss(LOGITS, CLASSES).item() + 0.7 * loss(LOGITS, CLASSES.flip(0)).item()
    )


def test_one_hot_l1_is_twice_what_the_true_class_lacks():
    chances = LOGITS.softmax(1)
    lacking = 2 - chances[0, 0] - chances[1, 2]
    assert made("one_hot_l1")(LOGITS, CLASSES).item() == pytest.approx(2 * lacking.item() / 2)


def test_binary_cross_entropy_by_hand():
    # One image with the first of two classes, logits 0 and ln 3: probabilities 1/2 and 3/4.
    logits, shares = torch.tensor([[0.0, math.log(3)]]), torch.tensor([[1.0, 0.0]])
    expected = (math.log(2) + math.log(4)) / 2
    assert made("binary_cross_entropy", TAG_LOSSES)(logits, shares).item() == pytest.approx(expected)
    weighted = made("binary_cross_entropy", TAG_LOSSES, class_weights=(1.0, 3.0))(logits, shares)
    assert weighted.item() == pytest.approx((math.log(2) + 3 * math.log(4)) / 2)
    # Smoothed by 0.2, the truth is 0.9 and 0.1.
    smooth = made("binary_cross_entropy", TAG_LOSSES, smoothing=0.2)(logits, shares)
    second = -(0.1 * math.log(3 / 4) + 0.9 * math.log(1 / 4))
    assert smooth.item() == pytest.approx((math.log(2) + second) / 2)


@pytest.mark.parametrize("name", TAG_LOSSES)
def test_several_classes_at_once_can_be_right(name):
    shares = torch.tensor([[1.0, 1.0, 0.0]])
    loss = made(name, TAG_LOSSES)
    assert loss(40 * (2 * shares - 1), shares).item() == pytest.approx(0, abs=1e-6)
    assert loss(-40 * (2 * shares - 1), shares).item() > 1


def test_unknown_names_and_options_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'focal'"):
        made("focall")
    with pytest.raises(UnknownNameError):
        made("dice")
    with pytest.raises(ConfigError, match="smoothing must be in"):
        made("binary_cross_entropy", TAG_LOSSES, smoothing=1.5)
