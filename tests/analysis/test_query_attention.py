import numpy as np
import pytest
import torch
from torch import nn

from limner.analysis.class_activation import activation_maps, explainable_layers
from limner.analysis.query_attention import attention_layers, attention_map
from limner.core.errors import ConfigError
from limner.core.outputs import QueryMasks
from limner.layers.attention import MultiheadAttention
from limner.networks import build_network


class TwoQueries(nn.Module):
    """Query 0 stands for class 0 and looks at the left half, query 1 for class 1 and at the right half.

    Their masks are the other way round, so that looking and covering cannot be mistaken.
    """

    def __init__(self):
        super().__init__()
        self.cross_attn = MultiheadAttention(2, 1)
        self.self_attn = MultiheadAttention(2, 1)
        with torch.no_grad():
            self.cross_attn.in_proj_weight.copy_(torch.eye(2).repeat(3, 1))

    def forward(self, image):
        right = (torch.arange(image.shape[3]) >= image.shape[3] // 2).float()
        side = torch.stack((1 - right, right)).repeat_interleave(image.shape[2], 0)
        side = side.view(2, image.shape[2], image.shape[3])
        queries = 30 * torch.eye(2)[None]
        keys = side.flatten(1).T[None]
        self.self_attn(self.cross_attn(queries, keys, keys), queries, queries)
        logits = torch.tensor([[[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]]])
        return QueryMasks(logits, 20 * torch.eye(2)[None] - 10, side.flip(0)[None])


IMAGE = torch.zeros(1, 3, 4, 6)


def half(*, right):
    target = np.zeros((4, 6), np.float32)
    target[:, 3:] = 1
    return target if right else 1 - target


def test_the_queries_of_a_class_are_followed():
    network = TwoQueries()
    assert attention_layers(network, IMAGE) == {"cross_attn": (2, 4, 6)}
    for index in (0, 1):
        found = attention_map(network, IMAGE, layer="cross_attn", class_index=index)
        np.testing.assert_allclose(found, half(right=index == 1), atol=1e-6)


def test_at_a_target_the_queries_whose_masks_lie_there_count():
    target = half(right=True).astype(bool)
    # On the right lies the mask of query 0, which looks to the left; of class 1 hardly anything is there.
    found = attention_map(TwoQueries(), IMAGE, layer="cross_attn", class_index=0, target=target)
    np.testing.assert_allclose(found, half(right=False), atol=1e-3)


def test_a_class_that_no_query_stands_for_is_said():
    network = TwoQueries()
    network.forward = lambda image, run=network.forward: QueryMasks(
        torch.tensor([[[0.0, 0.0, 9.0]] * 2]), *(getattr(run(image), n) for n in ("embeddings", "features"))
    )
    with pytest.raises(ConfigError, match="nothing to explain"):
        attention_map(network, IMAGE, layer="cross_attn", class_index=0)


@pytest.mark.parametrize("masked", [False, True])
def test_the_weights_are_pytorchs(masked):
    torch.manual_seed(0)
    ours, theirs = MultiheadAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    queries, keys = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    seen = torch.rand(1, 3, 5) > 0.4 if masked else None
    mask = None if seen is None else ~seen[0]
    expected = theirs(queries, keys, keys, attn_mask=mask)[1]
    torch.testing.assert_close(ours.weights(queries, keys, mask=seen), expected)


def test_mask2former_has_attention_and_activation():
    torch.manual_seed(0)
    options = {
        "backbone": "resnet18_width16",
        "channels": 32,
        "num_queries": 5,
        "pixel_layers": 1,
        "decoder_layers": 3,
    }
    network = build_network("mask2former", num_classes=2, **options).eval()
    image = torch.randn(1, 3, 96, 64)
    layers = attention_layers(network, image)
    # Coarsest first: an image of 96 x 64 at strides 32, 16 and 8.
    assert [shape for _, shape in layers.items()] == [(5, 3, 2), (5, 6, 4), (5, 12, 8)]
    target = np.zeros((96, 64), bool)
    target[40, 30] = True
    found = attention_map(network, image, layer=list(layers)[-1], class_index=1, target=target)
    assert found.shape == (96, 64) and found.max() == pytest.approx(1, abs=0.3) and found.min() >= 0
    feature = list(explainable_layers(network, image))[0]
    heats = activation_maps(network, image, layer=feature, class_index=1, target=target)
    assert all(heat.shape == (96, 64) for heat in heats.values())
