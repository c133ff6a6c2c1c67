import torch
from torch import nn

from limner.layers.attention import MultiheadAttention


def test_equals_pytorchs_own_layer():
    torch.manual_seed(0)
    theirs, ours = nn.MultiheadAttention(8, 2, batch_first=True), MultiheadAttention(8, 2)
    nn.init.normal_(theirs.in_proj_bias)
    ours.load_state_dict(theirs.state_dict())
    queries, keys, values = torch.randn(2, 3, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    seen = torch.rand(2, 3, 5) > 0.5
    seen[:, :, 0] = True
    expected, _ = theirs(queries, keys, values, attn_mask=~seen.repeat_interleave(2, 0))
    torch.testing.assert_close(ours(queries, keys, values, mask=seen), expected)
    torch.testing.assert_close(ours(queries, keys, values), theirs(queries, keys, values)[0])
