"""Losses of more than 255 classes: the same as of few, where the others never occur."""

import pytest
import torch

from limner.core.plan import LossTerm
from limner.losses import LOSSES, build_loss

FEW, MANY = 5, 300
VARIANTS = {
    "hard": LossTerm(name="cross_entropy", options={"hard_fraction": 0.25, "hard_threshold": 0.7}),
    **{name: LossTerm(name=name) for name in LOSSES},
}


def padded(logits):
    """Return logits of many classes, of which the new ones are as good as impossible."""
    rest = torch.full((len(logits), MANY - FEW, *logits.shape[2:]), -1e4)
    return torch.cat([logits, rest], 1)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, FEW, 6, 7, generator=generator)
    few = torch.randint(0, FEW, (2, 6, 7), generator=generator)
    few[:, :2] = 255
    many = few.to(torch.int32)
    many[many == 255] = 65535
    return logits, few.to(torch.uint8), many


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 0.5, 3.0, 1.5)])
def test_classes_that_never_occur_do_not_change_the_loss(variant, weights, batch):
    logits, few, many = batch
    wide = None if weights is None else (*weights, *[9.0] * (MANY - FEW))
    of_few = build_loss(VARIANTS[variant], class_weights=weights)(logits, few)
    of_many = build_loss(VARIANTS[variant], class_weights=wide)(padded(logits), many)
    if variant in ("dice", "tversky"):  # a mean over classes, to which an absent one adds nothing
        of_many = of_many * MANY / FEW
    torch.testing.assert_close(of_many, of_few)


@pytest.mark.parametrize("variant", VARIANTS)
def test_label_255_is_a_class_among_300(variant):
    logits = torch.zeros(1, MANY, 2, 2)
    logits[:, 255] = 50.0
    loss = build_loss(VARIANTS[variant])
    right = loss(logits, torch.full((1, 2, 2), 255, dtype=torch.int32))
    wrong = loss(logits, torch.full((1, 2, 2), 254, dtype=torch.int32))
    assert right < 1e-6 < wrong


def test_cross_entropy_by_hand():
    logits = torch.zeros(1, MANY, 1, 3)
    target = torch.tensor([[[255, 299, 65535]]], dtype=torch.int32)
    loss = build_loss(LossTerm(name="cross_entropy"))(logits, target)
    torch.testing.assert_close(loss, torch.tensor(300.0).log())


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_but_ignored_pixels(variant):
    logits = torch.randn(1, MANY, 4, 4, requires_grad=True)
    loss = build_loss(VARIANTS[variant])(logits, torch.full((1, 4, 4), 65535, dtype=torch.int32))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
