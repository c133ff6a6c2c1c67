import math

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch.utils._python_dispatch import TorchDispatchMode

from limner.core.errors import ConfigError
from limner.core.outputs import QueryMasks
from limner.core.segments import SegmentTargets
from limner.losses.segment_set import SegmentSetLoss

QUERIES, CLASSES, CHANNELS = 7, 3, 4
POINTS, OVERSAMPLE, IMPORTANCE = 40, 2.0, 0.5


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def outputs(*, batch=2, earlier=2, size=(9, 8), seed=0, shares=True):
    draws = generator(seed)

    def draw_features():
        return torch.randn(batch, CHANNELS, *size, generator=draws).requires_grad_()

    features = draw_features()
    layers = [
        QueryMasks(
            torch.randn(batch, QUERIES, CLASSES + 1, generator=draws).requires_grad_(),
            torch.randn(batch, QUERIES, CHANNELS, generator=draws).requires_grad_(),
            features if shares else draw_features(),
        )
        for _ in range(earlier + 1)
    ]
    last = layers.pop()
    return QueryMasks(last.class_logits, last.embeddings, last.features, tuple(layers))


def target(count, *, size=(18, 16), seed=0):
    draws = generator(seed)
    masks = torch.rand(count, *size, generator=draws) > 0.5
    return SegmentTargets(masks, torch.randint(CLASSES, (count,), generator=draws))


def loss_of(found, targets, *, seed=0, **options):
    loss = SegmentSetLoss(num_points=POINTS, oversample=OVERSAMPLE, importance=IMPORTANCE, **options)
    return loss(found, targets, generator=generator(seed))


def cross_entropy_of(scores, true):
    return F.binary_cross_entropy_with_logits(scores, true)


def focal_of(scores, true):
    p = scores.sigmoid()
    inside, outside = 0.25 * (1 - p) ** 2 * -p.log(), 0.75 * p**2 * -(1 - p).log()
    return (true * inside + (1 - true) * outside).mean()


def naive(found, targets, seed=0, mask_loss=cross_entropy_of):  # noqa: C901 - the whole paper at once
    """The paper's loss, with the maps of all queries, a query and an image at a time."""
    draws = generator(seed)
    layers = [*found.auxiliary, found]
    shared = torch.rand(len(targets), POINTS, 2, generator=draws)

    def sample(maps, points):  # (N, h, w), (N, P, 2) -> (N, P)
        return F.grid_sample(maps[:, None].float(), 2 * points[:, None] - 1, align_corners=False)[:, 0, 0]

    def dice(p, true):
        return 1 - (2 * (p * true).sum() + 1) / (p.sum() + true.sum() + 1)

    pairs = {}
    for image, truth in enumerate(targets):
        for index, layer in enumerate(layers):
            maps = layer.mask_logits[image]
            count = len(truth.labels)
            scores = sample(maps.detach(), shared[image].expand(len(maps), -1, -1))
            true = sample(truth.masks, shared[image].expand(count, -1, -1))
            chance = layer.class_logits[image].softmax(-1)
            cost = torch.tensor(
                [
                    [
                        -2 * chance.detach()[q, truth.labels[n]]
                        + 5 * mask_loss(scores[q], true[n])
                        + 5 * dice(scores[q].sigmoid(), true[n])
                        for n in range(count)
                    ]
                    for q in range(len(maps))
                ]
            ).reshape(len(maps), count)
            pairs[image, index] = list(zip(*linear_sum_assignment(cost.numpy()), strict=True))
    normalizer = max(1, sum(len(truth.labels) for truth in targets))
    totals = [0.0] * len(layers)
    for image, truth in enumerate(targets):
        matched = [(i, q, n) for i in range(len(layers)) for q, n in pairs[image, i]]
        if not matched:
            continue
        maps = torch.stack([layers[i].mask_logits[image, q] for i, q, _ in matched])
        many, uncertain = int(POINTS * OVERSAMPLE), int(POINTS * IMPORTANCE)
        candidates = torch.rand(len(maps), many, 2, generator=draws)
        order = sample(maps, candidates).abs().argsort(1)[:, :uncertain, None].expand(-1, -1, 2)
        rest = torch.rand(len(maps), POINTS - uncertain, 2, generator=draws)
        points = torch.cat((candidates.gather(1, order), rest), 1)
        scores, true = sample(maps, points), sample(truth.masks[[n for *_, n in matched]], points)
        for row, (i, _, _) in enumerate(matched):
            own = mask_loss(scores[row], true[row])
            totals[i] += 5 * (own + dice(scores[row].sigmoid(), true[row])) / normalizer
    for index, layer in enumerate(layers):
        wanted = torch.full((len(targets), QUERIES), CLASSES)
        for image, truth in enumerate(targets):
            for q, n in pairs[image, index]:
                wanted[image, q] = truth.labels[n]
        weight = torch.tensor([1.0] * CLASSES + [0.1])
        totals[index] += 2 * F.cross_entropy(layer.class_logits.flatten(0, 1), wanted.flatten(), weight)
    return totals


@pytest.mark.parametrize("mask_loss", ["cross_entropy", "focal"])
@pytest.mark.parametrize("shares", [True, False])
@pytest.mark.parametrize("counts", [(3, 5), (0, 2), (4, 12), (0, 0)])
def test_equals_the_naive_form_and_so_do_the_gradients(counts, shares, mask_loss):
    targets = [target(count, seed=position) for position, count in enumerate(counts)]
    found = outputs(shares=shares)
    layers = (found, *found.auxiliary)
    leaves = [t for o in layers for t in (o.class_logits, o.embeddings, o.features)]
    parts = loss_of(found, targets, mask_loss=mask_loss)
    formula = {"cross_entropy": cross_entropy_of, "focal": focal_of}[mask_loss]
    *earlier, last = naive(found, targets, mask_loss=formula)
    torch.testing.assert_close(parts["class"] + parts["mask"] + parts["dice"], last)
    for index, expected in enumerate(earlier):
        torch.testing.assert_close(parts[f"auxiliary_{index}"], expected)
    ours = torch.autograd.grad(sum(parts.values()), leaves, retain_graph=True)
    theirs = torch.autograd.grad(sum(earlier, last), leaves, allow_unused=True)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, torch.zeros_like(mine) if reference is None else reference)


def test_a_perfect_answer_costs_little():
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[0, :, :4], masks[1, :, 4:] = True, True
    features = torch.where(masks, 50.0, -50.0).unsqueeze(0)
    class_logits = torch.full((1, 3, 3), -50.0)
    class_logits[0, 0, 1] = class_logits[0, 1, 0] = class_logits[0, 2, 2] = 50.0
    embeddings = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]])
    parts = SegmentSetLoss(importance=0.0)(
        QueryMasks(class_logits, embeddings, features), [SegmentTargets(masks, torch.tensor([1, 0]))]
    )
    assert parts["class"] < 1e-6
    assert parts["dice"] / 5 < 0.2  # along their borders both masks are blurred
    swapped = SegmentSetLoss(importance=0.0)(
        QueryMasks(class_logits, embeddings, features), [SegmentTargets(masks, torch.tensor([0, 1]))]
    )
    assert swapped["class"] > 10


def test_three_hundred_objects_in_one_image():
    parts = loss_of(outputs(batch=1), [target(300)])
    assert all(value.isfinite() for value in parts.values())


def test_a_score_that_is_no_number_gives_a_loss_that_is_none():
    found = outputs()
    with torch.no_grad():
        found.embeddings[0, 0, 0] = float("nan")
    parts = loss_of(found, [target(9), target(2)])  # more segments than queries: the bad one is matched
    assert parts["mask"].isnan()


def test_the_seed_of_pytorch_decides_the_draws():
    found, targets = outputs(), [target(3), target(2)]
    loss = SegmentSetLoss(num_points=POINTS)
    torch.manual_seed(5)
    first = loss(found, targets)
    torch.manual_seed(5)
    again = loss(found, targets)
    assert all(torch.equal(first[name], again[name]) for name in first)
    torch.manual_seed(6)
    assert not torch.equal(first["mask"], loss(found, targets)["mask"])


def test_the_maps_of_all_queries_are_never_made():
    size = (32, 32)
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.dtype == torch.float32:
                largest = max(largest, result.numel())
            return result

    found = outputs(batch=1, earlier=9, size=size)
    with Watch():
        sum(loss_of(found, [target(2)]).values()).backward()
    every_map = 10 * QUERIES * size[0] * size[1]
    assert largest <= 10 * 2 * size[0] * size[1] < every_map


def test_one_transfer_to_the_host(monkeypatch):
    calls = []
    original = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: calls.append(1) or original(tensor))
    for name in ("item", "tolist", "__bool__"):
        monkeypatch.setattr(torch.Tensor, name, lambda tensor: pytest.fail("a second transfer"))
    loss_of(outputs(), [target(3), target(2)])
    assert len(calls) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"mask_loss": "dice"},
        {"class_weight": -1.0},
        {"num_points": 0},
        {"importance": 1.5},
        {"oversample": 0.5},
    ],
)
def test_settings_out_of_range(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        SegmentSetLoss(**options)


@pytest.mark.parametrize(
    ("complete", "chance"), [(None, 0.5), ([0, 1], 0.5), ([0], 0.5 + 0.3), ([1], 0.5 + 0.2), ([], 1.0)]
)
@pytest.mark.parametrize("matched", [False, True])
def test_an_unmatched_query_may_have_found_an_object_that_was_not_drawn(complete, chance, matched):
    # Two queries, both with the probabilities 0.2 and 0.3 of the classes, and 0.5 of "no object".
    logits = torch.tensor([0.2, 0.3, 0.5]).log().expand(1, 2, 3)
    found = QueryMasks(logits, torch.zeros(1, 2, CHANNELS), torch.zeros(1, CHANNELS, 4, 4))
    known = None if complete is None else torch.tensor(complete, dtype=torch.long)
    masks = torch.ones(int(matched), 8, 8, dtype=torch.bool)
    truth = SegmentTargets(masks, torch.zeros(len(masks), dtype=torch.long), complete=known)
    loss = loss_of(found, [truth], class_weight=1.0)["class"].item()
    # What is drawn, of class 0, is learned as ever, with a weight of 1; no object has one of 0.1.
    expected = (-math.log(0.2) - 0.1 * math.log(chance)) / 1.1 if matched else -math.log(chance)
    assert loss == pytest.approx(expected, abs=1e-6)
