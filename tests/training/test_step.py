import pytest
import torch
from accelerate import Accelerator
from torch import nn

from limner.core.batch import Batch
from limner.core.label_map import LabelMap
from limner.core.outputs import DenseLogits, QueryMasks
from limner.core.plan import LossPlan
from limner.tasks.dense_objective import DenseCriterion
from limner.tasks.objective import LossValue
from limner.training.accelerator import build_accelerator
from limner.training.step import compute_gradients, split_batch


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, images):
        return DenseLogits(self.conv(images.float()))


@pytest.fixture
def accelerator():
    return build_accelerator("cpu", precision="float32")


def a_batch(size=6):
    numbers = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (size, 3, 5, 5), generator=numbers, dtype=torch.uint8)
    masks = torch.randint(0, 2, (size, 5, 5), generator=numbers, dtype=torch.uint8)
    return Batch(images, tuple(f"image {i}" for i in range(size)), {LabelMap: masks})


class Queries(nn.Module):
    """Two layers that share their features, as every network of queries may."""

    def __init__(self):
        super().__init__()
        self.conv, self.queries = nn.Conv2d(3, 4, 1), nn.Linear(4, 4)

    def forward(self, images):
        features, queries = (
            self.conv(images.float()),
            self.queries(images.new_ones(len(images), 3, 4).float()),
        )
        first = QueryMasks(queries, queries, features)
        return QueryMasks(queries, queries, features, (first,))


class Spy:
    """A task that only looks at its outputs."""

    def loss(self, outputs, batch):
        self.seen = outputs
        return LossValue(outputs.mask_logits.square().mean())


def test_layers_that_share_features_share_them_in_full_precision_too():
    spy = Spy()
    accelerator = build_accelerator("cpu", precision="bfloat16")
    compute_gradients(Queries(), a_batch(), criterion=spy, accelerator=accelerator)
    assert spy.seen.features.dtype == torch.float32
    assert spy.seen.auxiliary[0].features is spy.seen.features


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_parts_add_up_to_the_gradient_of_the_whole_batch(accelerator, parts):
    gradients, losses = [], []
    for number in (1, parts):
        torch.manual_seed(0)
        model = Linear()
        result = compute_gradients(
            model,
            a_batch(),
            criterion=DenseCriterion(LossPlan(), num_classes=2),
            accelerator=accelerator,
            parts=number,
        )
        gradients.append(model.conv.weight.grad)
        losses.append(result.losses["total"])
    assert torch.allclose(*gradients, rtol=1e-4)
    assert torch.allclose(*losses)


def test_clipping_scales_the_whole_gradient(accelerator):
    torch.manual_seed(0)
    model = Linear()
    task = DenseCriterion(LossPlan(), num_classes=2)
    before = compute_gradients(model, a_batch(), criterion=task, accelerator=accelerator)
    whole = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert torch.allclose(before.gradient_norm, whole.norm())
    model.zero_grad()
    after = compute_gradients(model, a_batch(), criterion=task, accelerator=accelerator, clip=0.5)
    clipped = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert torch.allclose(after.gradient_norm, whole.norm())  # what is logged is the norm before
    assert torch.allclose(clipped, whole * 0.5 / whole.norm(), rtol=1e-4)


def test_losses_are_computed_in_float32_under_bfloat16():
    seen = []

    class Spy(DenseCriterion):
        def loss(self, outputs, batch):
            seen.append(outputs.logits.dtype)
            return super().loss(outputs, batch)

    accelerator = build_accelerator("cpu", precision="bfloat16")
    model = Linear()
    compute_gradients(model, a_batch(), criterion=Spy(LossPlan(), num_classes=2), accelerator=accelerator)
    assert seen == [torch.float32]
    assert model.conv.weight.grad.dtype == torch.float32


def test_parts_are_copied_to_the_device_one_by_one(accelerator):
    copied = []

    def copy(batch):
        copied.append(batch.names)
        return batch

    task = DenseCriterion(LossPlan(), num_classes=2)
    compute_gradients(Linear(), a_batch(), criterion=task, accelerator=accelerator, parts=3, copy=copy)
    assert copied == [("image 0", "image 1"), ("image 2", "image 3"), ("image 4", "image 5")]


@pytest.mark.parametrize("parts", range(1, 8))
def test_split_keeps_every_sample_with_its_mask_and_name(parts):
    whole = a_batch()
    pieces = split_batch(whole, parts)
    assert torch.equal(torch.cat([p.images for p in pieces]), whole.images)
    assert torch.equal(torch.cat([p.get(LabelMap) for p in pieces]), whole.get(LabelMap))
    assert sum((p.names for p in pieces), ()) == whole.names
    assert all(len(p.images) == len(p.names) > 0 for p in pieces)


def test_a_second_run_may_have_another_precision():
    assert build_accelerator("cpu", precision="float32").mixed_precision == "no"
    second = build_accelerator("cpu", precision="bfloat16")
    assert isinstance(second, Accelerator)
    assert second.mixed_precision == "bf16"
