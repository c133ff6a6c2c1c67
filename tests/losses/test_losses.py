"""Every loss of the table: properties that all share, and values worked out by hand."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from limner.core.errors import ConfigError
from limner.core.labels import IGNORE_INDEX
from limner.core.plan import LossTerm
from limner.losses import LOSSES, build_loss, lovasz

LN3 = math.log(3)


def loss_named(name: str, **options: object) -> torch.nn.Module:
    return build_loss(LossTerm(name=name, options=options))


def confident(target: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Logits whose softmax is the target to the last bit."""
    return 100.0 * F.one_hot(target.long(), num_classes).movedim(-1, 1).float()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("spatial", [(4, 5), (2, 3, 4)], ids=["2d", "3d"])
def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_costs_most(name, spatial):
    target = torch.arange(math.prod(spatial)).reshape(1, *spatial).remainder(3).to(torch.uint8)
    wrong = confident((target + 1) % 3, 3)
    assert loss_named(name)(confident(target, 3), target).item() == pytest.approx(0, abs=1e-5)
    assert loss_named(name)(wrong, target).item() > 0.85  # Dice and Tversky are smoothed on few pixels


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_change_neither_loss_nor_gradient(name):
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 4)
    target = torch.randint(0, 3, (2, 4, 4), dtype=torch.uint8)
    target[:, :2] = IGNORE_INDEX
    other = logits.clone()
    other[:, :, :2] += torch.randn(2, 3, 2, 4)
    a, b = logits.requires_grad_(), other.requires_grad_()
    loss_a, loss_b = loss_named(name)(a, target), loss_named(name)(b, target)
    loss_a.backward()
    assert loss_a.item() == pytest.approx(loss_b.item(), rel=1e-5)
    assert a.grad[:, :, :2].abs().max() == 0
    assert a.grad[:, :, 2:].abs().max() > 0


@pytest.mark.parametrize("name", LOSSES)
def test_all_pixels_ignored_gives_a_finite_loss_and_gradient(name):
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = loss_named(name)(logits, torch.full((1, 4, 4), IGNORE_INDEX, dtype=torch.uint8))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_permuting_classes_changes_nothing(name):
    torch.manual_seed(1)
    logits, target = torch.randn(2, 3, 5, 5), torch.randint(0, 3, (2, 5, 5))
    order = torch.tensor([2, 0, 1])
    assert loss_named(name)(logits[:, order], order.argsort()[target]).item() == pytest.approx(
        loss_named(name)(logits, target).item(), rel=1e-5
    )


@pytest.mark.parametrize("name", LOSSES)
def test_an_unknown_option_names_the_nearest(name):
    option = list(__import__("inspect").signature(LOSSES[name]).parameters)[0]
    with pytest.raises(ConfigError, match=f"did you mean '{option}'"):
        loss_named(name, **{option + "s": 1})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cross_entropy", {"smoothing": 1.0}),
        ("cross_entropy", {"hard_fraction": 0.0}),
        ("cross_entropy", {"hard_threshold": 1.5}),
        ("dice", {"smooth": 0.0}),
        ("focal", {"gamma": -1.0}),
        ("focal", {"one_vs_rest": True, "alpha": 1.5}),
        ("tversky", {"alpha": -0.1}),
        ("tversky", {"gamma": 0.0}),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    with pytest.raises(ConfigError, match=name):
        loss_named(name, **options)


# One pixel row, two classes. Softmax of (ln 3, 0) is (3/4, 1/4).
LOGITS = torch.tensor([[[[LN3, LN3]], [[0.0, 0.0]]]])  # (1, 2, 1, 2)
TARGET = torch.tensor([[[0, 1]]], dtype=torch.uint8)


def test_cross_entropy_by_hand():
    # Pixel losses: -ln 3/4 and -ln 1/4.
    first, second = -math.log(3 / 4), -math.log(1 / 4)
    assert loss_named("cross_entropy")(LOGITS, TARGET).item() == pytest.approx((first + second) / 2)
    # With weights 1 and 3 the weighted mean is (1 first + 3 second) / 4.
    weighted = loss_named("cross_entropy", class_weights=[1.0, 3.0])
    assert weighted(LOGITS, TARGET).item() == pytest.approx((first + 3 * second) / 4)
    # Smoothing 0.2 over two classes: 0.9 of the true and 0.1 of the other.
    smoothed = loss_named("cross_entropy", smoothing=0.2)
    expected = (0.9 * first + 0.1 * second + 0.9 * second + 0.1 * first) / 2
    assert smoothed(LOGITS, TARGET).item() == pytest.approx(expected)
    # The hardest half is the second pixel; a threshold of 0.8 keeps both, since both are below it.
    assert loss_named("cross_entropy", hard_fraction=0.5)(LOGITS, TARGET).item() == pytest.approx(second)
    both = loss_named("cross_entropy", hard_fraction=0.5, hard_threshold=0.8)
    assert both(LOGITS, TARGET).item() == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("threshold", [None, 0.3])
@pytest.mark.parametrize("fraction", [0.03, 0.25, 0.9])
def test_hard_examples_are_those_of_the_pixels_that_count(fraction, threshold):
    torch.manual_seed(0)
    logits, target = 3 * torch.randn(2, 3, 5, 7), torch.randint(0, 3, (2, 5, 7), dtype=torch.uint8)
    target[0, :2] = IGNORE_INDEX
    costs = F.cross_entropy(logits, target.long(), ignore_index=IGNORE_INDEX, reduction="none")
    hardest = sorted(costs[target != IGNORE_INDEX].tolist(), reverse=True)
    bound = hardest[max(1, int(fraction * len(hardest))) - 1]
    if threshold is not None:
        bound = min(bound, -math.log(threshold))
    kept = [cost for cost in hardest if cost >= bound]
    loss = loss_named("cross_entropy", hard_fraction=fraction, hard_threshold=threshold)
    assert loss(logits, target).item() == pytest.approx(sum(kept) / len(kept), rel=1e-5)


def test_without_a_pixel_that_counts_hard_examples_cost_nothing():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = loss_named("cross_entropy", hard_fraction=0.5)(logits, torch.full((1, 4, 4), IGNORE_INDEX))
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_dice_by_hand():
    # Class 0: 2 * 3/4 / (3/2 + 1), class 1: 2 * 1/4 / (1/2 + 1), each with 1 added above and below.
    dice = [(2 * 0.75 + 1) / (1.5 + 1 + 1), (2 * 0.25 + 1) / (0.5 + 1 + 1)]
    assert loss_named("dice")(LOGITS, TARGET).item() == pytest.approx(1 - sum(dice) / 2)
    alone = loss_named("dice", include_background=False)
    assert alone(LOGITS, TARGET).item() == pytest.approx(1 - dice[1])


def test_dice_by_image_is_the_mean_of_the_images():
    torch.manual_seed(2)
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    per_image = loss_named("dice", per_image=True)(logits, target).item()
    alone = [loss_named("dice")(logits[i : i + 1], target[i : i + 1]).item() for i in range(2)]
    assert per_image == pytest.approx(sum(alone) / 2)


def test_tversky_with_equal_prices_of_a_half_is_dice_and_by_hand():
    torch.manual_seed(3)
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    same = loss_named("tversky", alpha=0.5, beta=0.5, smooth=0.5)(logits, target).item()
    assert same == pytest.approx(loss_named("dice", smooth=1.0)(logits, target).item(), rel=1e-5)
    # Class 1 of the hand example: both 1/4, false positives 1/4, false negatives 3/4.
    value = loss_named("tversky", alpha=0.3, beta=0.7, include_background=False)(LOGITS, TARGET).item()
    assert value == pytest.approx(1 - 1.25 / (1.25 + 0.3 * 0.25 + 0.7 * 0.75))


def test_focal_by_hand_and_as_cross_entropy():
    # (1 - p)^2 times the pixel losses: (1/4)^2 and (3/4)^2.
    expected = (0.0625 * -math.log(3 / 4) + 0.5625 * -math.log(1 / 4)) / 2
    assert loss_named("focal")(LOGITS, TARGET).item() == pytest.approx(expected)
    plain = loss_named("focal", gamma=0.0)(LOGITS, TARGET).item()
    assert plain == pytest.approx(loss_named("cross_entropy")(LOGITS, TARGET).item())


def test_focal_of_each_class_against_the_rest_by_hand():
    # Sigmoid of (ln 3, 0) is (3/4, 1/2): the first pixel lacks 1/4 and 1/2, the second 3/4 and 1/2.
    def of(missing):
        return missing**2 * -math.log(1 - missing)

    first, second = of(1 / 4) / 4 + 3 / 4 * of(1 / 2), 3 / 4 * of(3 / 4) + of(1 / 2) / 4
    loss = loss_named("focal", one_vs_rest=True, alpha=0.25)
    assert loss(LOGITS, TARGET).item() == pytest.approx((first + second) / 2 / 2)  # 2 pixels, 2 classes
    ignored = torch.tensor([[[0, 255]]], dtype=torch.uint8)
    assert loss(LOGITS, ignored).item() == pytest.approx(first / 2)


def test_lovasz_of_hard_predictions_is_one_minus_iou():
    # On hard predictions the Lovasz extension is the set function itself: IoU 1/3 and 1/3, by hand.
    target = torch.tensor([[[0, 0, 1, 1]]])
    prediction = confident(torch.tensor([[[0, 1, 0, 1]]]), 2)
    assert loss_named("lovasz")(prediction, target).item() == pytest.approx(2 / 3, abs=1e-5)


def test_lovasz_without_waiting_for_an_accelerator_is_the_same():
    """Masked instead of dropped: ignored pixels, and a class that no pixel has."""
    draws = torch.Generator().manual_seed(0)
    probabilities = torch.randn(4, 50, generator=draws).softmax(0)
    labels = torch.randint(0, 3, (50,), generator=draws)
    for ignored in (0, 7, 50):
        labels[:ignored] = IGNORE_INDEX
        values, gradients = [], []
        for compute in (lovasz._of_pixels, partial(lovasz._without_waiting, valid=labels != IGNORE_INDEX)):
            given = probabilities.clone().requires_grad_()
            loss = compute(given, labels)
            loss.backward()
            values.append(loss.item())
            gradients.append(given.grad)
        assert values[1] == pytest.approx(values[0], abs=1e-6) and (values[0] > 0) == (ignored < 50)
        torch.testing.assert_close(*gradients)
