import pytest
import torch
from torch.utils import _pytree

from limner.core.outputs import AuxiliaryLogits, DenseLogits, resize_logits


def test_output_kinds_are_seen_through_by_torch():
    outputs = DenseLogits(torch.zeros(1, 2, 3, 3), (AuxiliaryLogits(torch.ones(1, 2, 2, 2), 0.4),))
    leaves, spec = _pytree.tree_flatten(outputs)
    assert [leaf.shape[-1] for leaf in leaves] == [3, 2]
    back = _pytree.tree_unflatten(leaves, spec)
    assert back.auxiliary[0].weight == 0.4
    assert back.logits is outputs.logits


@pytest.mark.parametrize("size", [(6, 10), (4, 6, 10)], ids=["2d", "3d"])
def test_resizing_keeps_a_constant_and_is_free_at_the_same_size(size):
    coarse = torch.full((1, 2, *(s // 2 for s in size)), 3.0)
    assert torch.equal(resize_logits(coarse, size), torch.full((1, 2, *size), 3.0))
    assert resize_logits(coarse, tuple(coarse.shape[2:])) is coarse
