import copy
from math import prod

import pytest
import torch
from torch import nn

from limner.analysis.network_cost import count_multiply_adds, count_parameters, time_forward
from limner.networks import build_network


def test_parameters_of_shared_weights_count_once():
    layer = nn.Linear(3, 4)
    assert count_parameters(nn.Sequential(layer, layer)) == 3 * 4 + 4


def test_multiply_adds_by_hand():
    # A 3x3 convolution from 2 to 5 channels on 8x8 outputs: 3*3*2 * 5 * 64. Bias and ReLU are not counted.
    network = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.ReLU())
    assert count_multiply_adds(network, torch.zeros(1, 2, 8, 8)) == 3 * 3 * 2 * 5 * 64


def test_multiply_adds_of_attention_by_hand():
    # 7 tokens of 8 channels: 4 projections of 7*8*8; scores and their use 7*7*8 each, on 2 heads of 4.
    layer = nn.MultiheadAttention(8, 2, batch_first=True)

    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = layer

        def forward(self, tokens):
            return self.attention(tokens, tokens, tokens)[0]

    assert count_multiply_adds(Attend(), torch.zeros(1, 7, 8)) == 4 * 7 * 8 * 8 + 2 * 7 * 7 * 8


def test_a_resnet_50_has_the_published_multiply_adds():
    # He et al., CVPR 2016, table 1: 3.8 * 10**9 for the ResNet-50 whose stride is in the first 1x1;
    # 4.09 with the stride in the 3x3, as timm and torchvision build it (torchvision's model page: 4.09).
    import timm

    with torch.device("meta"):
        network = timm.create_model("resnet50")
        image = torch.zeros(1, 3, 224, 224)
    assert round(count_multiply_adds(network, image) / 1e9, 2) == 4.09


def test_counting_needs_no_compute_and_leaves_the_network_alone():
    with torch.device("meta"):
        network = build_network("unet", num_classes=2).train()
        image = torch.zeros(1, 3, 512, 512)
    there = count_multiply_adds(network, image)
    assert network.training
    here = build_network("unet", num_classes=2)
    # Cost is proportional to the area.
    assert count_multiply_adds(here, torch.zeros(1, 3, 64, 64)) * 64 == there


def test_time_is_positive_and_the_mode_is_kept():
    network = nn.Conv2d(1, 1, 3).train()
    assert time_forward(network, torch.zeros(1, 1, 9, 9)) > 0
    assert network.training


class Scores(nn.Module):
    """The scores alone: a traced network gives nothing but tensors."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        return self.network(image).logits


def attention_pairs(inputs, outputs):
    """Multiply-adds of scores and of their use, for fvcore, which knows no fused attention."""
    *batch, queries, channels = inputs[0].type().sizes()
    keys, values = inputs[2].type().sizes()[-2:]
    return prod(batch) * queries * keys * (channels + values)


def test_attention_costs_the_same_where_it_is_computed_and_where_it_is_not():
    options = {"backbone": "vit_tiny_patch16_224", "num_blocks": 4, "image_size": 64, "channels": 8}
    network = build_network("setr", num_classes=3, **options)
    weightless = copy.deepcopy(network).to("meta")
    blank = torch.zeros(1, 3, 64, 64)
    assert count_multiply_adds(network, blank) == count_multiply_adds(weightless, blank.to("meta"))


@pytest.mark.peer
@pytest.mark.parametrize("name", ["unet", "pspnet", "deeplabv3plus", "bisenetv2", "ccnet", "danet", "setr"])
def test_multiply_adds_are_those_of_fvcore(name):
    counting = pytest.importorskip("fvcore.nn", reason="fvcore is not installed")
    network, image = build_network(name, num_classes=19).eval(), torch.zeros(1, 3, 64, 128)
    theirs = counting.FlopCountAnalysis(Scores(network), image)
    theirs.set_op_handle("aten::scaled_dot_product_attention", attention_pairs)
    theirs.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    ours = count_multiply_adds(network, image)
    # fvcore also counts norms, pooling and resizing, by one or more for each value.
    assert ours == pytest.approx(theirs.total(), rel=0.01)
    by_operator = theirs.by_operator()
    products = ("conv", "linear", "matmul", "bmm", "scaled_dot_product_attention")
    assert ours == sum(by_operator[operator] for operator in products)
