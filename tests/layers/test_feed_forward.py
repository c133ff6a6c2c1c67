"""The MLP of transformer layers, with its hidden channels kept or computed again."""

import pytest
import torch

from limner.layers.query_layer import FeedForward


def trained(*, recompute, dropout):
    """Return output, gradients and the bytes kept for the backward pass."""
    torch.manual_seed(0)
    layer = FeedForward(8, 64, dropout=dropout, recompute=recompute).train()
    x = torch.randn(50, 8, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t):
        found = layer(x)
    found.square().sum().backward()
    return found, [x.grad, *(parameter.grad for parameter in layer.parameters())], sum(kept)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_computing_again_changes_nothing_but_memory(dropout):
    found, gradients, kept = trained(recompute=True, dropout=dropout)
    expected, others, more = trained(recompute=False, dropout=dropout)
    assert torch.equal(found, expected)
    for gradient, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-6, rtol=1e-6)
    assert kept < more / 2
