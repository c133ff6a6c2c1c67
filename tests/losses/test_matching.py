import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from limner.losses import matching
from limner.losses.matching import Weights, assign, pairwise_costs

CPU = torch.device("cpu")


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def naive_cost(class_logits, logits, label, truth, weights):
    """The costs as the paper defines them, for one query (P,) and one true mask (P,)."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, truth)
    p = logits.sigmoid()
    dice = 1 - (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)
    return (
        -weights.class_ * class_logits.softmax(-1)[label] + weights.mask * cross_entropy + weights.dice * dice
    )


@pytest.mark.parametrize("chunk", [2**21, 100])
def test_costs_equal_their_definition(monkeypatch, chunk):
    monkeypatch.setattr(matching, "_CHUNK_ELEMENTS", chunk)
    class_logits, embeddings, features = draw(2, 5, 4), 3 * draw(2, 5, 6, seed=1), draw(6, 30, seed=2)
    labels, truth = torch.tensor([2, 0, 2]), (draw(3, 30, seed=3) > 0).float()
    weights = Weights(2.0, 5.0, 4.0)
    found = pairwise_costs(class_logits, embeddings, features, labels, truth, weights)
    for layer in range(2):
        for query in range(5):
            for segment in range(3):
                logits = embeddings[layer, query] @ features
                expected = naive_cost(
                    class_logits[layer, query], logits, labels[segment], truth[segment], weights
                )
                torch.testing.assert_close(found[layer, query, segment], expected)


def test_costs_of_confident_masks_are_finite():
    embeddings = torch.tensor([[[1e4], [-1e4]]])
    costs = pairwise_costs(
        torch.zeros(1, 2, 2),
        embeddings,
        torch.ones(1, 8),
        torch.tensor([0]),
        torch.ones(1, 8),
        Weights(1, 1, 1),
    )
    # Right everywhere: -1/2 for the class and nothing else. Wrong everywhere: 10^4 and a Dice of 8/9.
    torch.testing.assert_close(costs.flatten(), torch.tensor([-0.5, 1e4 + 8 / 9 - 0.5]))


def test_costs_in_half_precision_are_computed_in_full():
    arguments = draw(1, 4, 3), draw(1, 4, 8, seed=1), draw(8, 20, seed=2)
    short = [argument.bfloat16() for argument in arguments]
    rest = torch.tensor([1]), torch.ones(1, 20), Weights(2, 5, 5)
    expected = pairwise_costs(*[argument.float() for argument in short], *rest)
    torch.testing.assert_close(pairwise_costs(*short, *rest), expected)


def test_the_assignment_is_scipys():
    costs = [draw(3, 10, 4), draw(3, 10, 0), draw(3, 10, 25, seed=1)]
    matches = assign(costs, device=CPU)
    assert [tuple(m.queries.shape) for m in matches] == [(3, 4), (3, 0), (3, 10)]
    for cost, matched in zip(costs, matches, strict=True):
        for layer in range(3):
            queries, segments = linear_sum_assignment(cost[layer].numpy())
            assert matched.queries[layer].tolist() == queries.tolist()
            assert matched.segments[layer].tolist() == segments.tolist()


def test_ties_are_assigned_one_to_one():
    (matched,) = assign([torch.zeros(1, 6, 4)], device=CPU)
    assert len(set(matched.queries[0].tolist())) == 4
    assert sorted(matched.segments[0].tolist()) == [0, 1, 2, 3]


def test_nothing_in_any_image():
    for matched in assign([torch.zeros(2, 6, 0), torch.zeros(2, 6, 0)], device=CPU):
        assert matched.queries.shape == matched.segments.shape == (2, 0)


def test_a_cost_that_is_no_number_is_taken_last():
    nan, inf = float("nan"), float("inf")
    costs = torch.tensor([[[nan, 5.0], [4.0, nan], [inf, inf]]])
    (matched,) = assign([costs], device=CPU)
    assert dict(zip(matched.queries[0].tolist(), matched.segments[0].tolist(), strict=True)) == {0: 1, 1: 0}
    (matched,) = assign([torch.full((1, 3, 2), nan)], device=CPU)
    assert matched.queries.shape == (1, 2)
