"""OCNet, GFF, Inf-Net and the per-pixel baselines give the scores of second implementations.

The maps of the backbone are those of the network itself: other tests compare the backbones.
"""

import math
from itertools import pairwise

import pytest
import torch
from by_hand import LEAKY, Weights, assert_same, bilinear
from torch.nn import functional as F

from limner.networks import build_network

SIZES = [(64, 96), (65, 97)]


def _scored(randomize, name, size, **options):
    network = randomize(build_network(name, num_classes=5, backbone="resnet18_width16", **options))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return Weights.of(network), network.backbone(images), network(images).logits


def leaky(x):
    return torch.where(x > 0, x, LEAKY * x)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("arrangement", ["base", "atrous", "pyramid"])
def test_ocnet(randomize, size, arrangement):
    options = {"arrangement": arrangement, "atrous_rates": (2, 4, 6), "output_stride": 8}
    weights, maps, found = _scored(randomize, "ocnet", size, channels=16, **options)
    head = {"base": _base_context, "atrous": _atrous_context, "pyramid": _pyramid_context}[arrangement]
    assert_same(found, weights.conv(head(weights, maps[-1]), "head.conv"))


def _object_context(w, x):
    """Equation 3: w_ij = softmax_j(f(x_i) . f(x_j) / sqrt(d)), then the sum of w_ij g(x_j), and W."""
    key = leaky(w.conv_norm(x, "key")).flatten(2)
    value = w.conv(x, "value").flatten(2)
    similarity = key.transpose(1, 2) @ key / key.shape[1] ** 0.5
    context = value @ similarity.softmax(-1).transpose(1, 2)
    return w.conv(context.unflatten(2, x.shape[2:]), "out")


def _base_context(w, deep):
    """Base-OC: the context beside the features, and a 1x1 convolution."""
    x = leaky(w.conv_norm(deep, "context.0"))
    head = w.at("context.1")
    return leaky(head.conv_norm(torch.cat((_object_context(head.at("attention"), x), x), 1), "fusion"))


def _atrous_context(w, deep):
    """ASP-OC: the context, of a map of half the size, beside a 1x1 and three atrous convolutions."""
    x = leaky(w.conv_norm(deep, "context.0"))
    head = w.at("context.1")
    narrow = leaky(head.conv_norm(x, "branches.0.0"))
    context = _object_context(head.at("branches.0.1"), F.max_pool2d(narrow, 2))
    context = bilinear(context, x.shape[2:], align_corners=True)
    levels = [leaky(head.conv_norm(context, "branches.0.2")), leaky(head.conv_norm(x, "branches.1"))]
    levels += [
        leaky(head.conv_norm(x, f"branches.{2 + i}", dilation=rate)) for i, rate in enumerate((2, 4, 6))
    ]
    return leaky(head.conv_norm(torch.cat(levels, 1), "fusion"))


def _pyramid_context(w, deep):
    """Pyramid-OC: the context inside the parts of 1, 2 x 2, 3 x 3 and 6 x 6, beside widened features."""
    x = w.conv_norm(deep, "context.0")  # the authors' pyramid has no activation here
    head = w.at("context.1")
    levels = [leaky(head.conv_norm(x, "widening"))]
    for index, parts in enumerate((1, 2, 3, 6)):
        attention = head.at(f"attentions.{index}")
        starts = [[i * (n // parts) for i in range(parts)] + [n] for n in x.shape[2:]]
        rows = [
            torch.cat([_object_context(attention, x[:, :, a:b, c:d]) for c, d in pairwise(starts[1])], 3)
            for a, b in pairwise(starts[0])
        ]
        levels.append(torch.cat(rows, 2))
    return leaky(head.conv_norm(torch.cat(levels, 1), "fusion"))


@pytest.mark.parametrize("size", SIZES)
def test_gff(randomize, size):
    """Figure 3: pyramid pooling, gated fusion of four levels (equation 4), the dense pyramid (equation 6)."""
    w, (_, *maps), found = _scored(randomize, "gff", size, channels=8, output_stride=32)
    pooled = [maps[-1]]
    for index, side in enumerate((1, 2, 3, 6)):
        cells = w.conv_norm_relu(F.adaptive_avg_pool2d(maps[-1], side), f"pyramid.0.branches.{index}")
        pooled.append(bilinear(cells, maps[-1].shape[2:]))
    top = w.conv_norm_relu(torch.cat(pooled, 1), "pyramid.0.fusion")
    top = w.conv_norm_relu(top, "pyramid.1")
    levels = [w.conv_norm_relu(x, f"reductions.{i}") for i, x in enumerate(maps)]
    gates = [w.conv(x, f"gates.{i}").sigmoid() for i, x in enumerate(maps)]
    size = maps[0].shape[2:]
    stack = [bilinear(top, size)]
    for step, here in enumerate((3, 2, 1, 0)):
        others = [i for i in range(4) if i != here]
        received = sum(bilinear(gates[i] * levels[i], levels[here].shape[2:]) for i in others)
        fused = (1 + gates[here]) * levels[here] + (1 - gates[here]) * received
        stack.append(w.conv_norm_relu(torch.cat((*stack, bilinear(fused, size)), 1), f"dense.{step}"))
    features = w.conv_norm_relu(torch.cat(stack, 1), "context")
    assert_same(found, w.conv(features, "head.conv"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("classes", [1, 3])
def test_infnet(randomize, size, classes):
    network = randomize(build_network("infnet", num_classes=classes, backbone="resnet18_width16", channels=8))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps, found = network.backbone(images), network(images).logits
    assert_same(found, _infnet(Weights.of(network), maps[1:]))


def _infnet(w, maps):
    """Figure 2: edge attention on the low level, parallel partial decoder, three reverse attentions."""
    low, *pyramid = maps
    edge = w.conv_norm(w.conv_norm(w.conv_norm(low, "guide.0"), "guide.1"), "guide.2")
    fine, middle, deep = (_receptive_field(w.at(f"fields.{i}"), x) for i, x in enumerate(pyramid))
    scores = _partial_decoder(w.at("decoder"), deep, middle, fine)
    for index, features in enumerate(reversed(pyramid)):
        branch, size = w.at(f"branches.{index}"), features.shape[2:]
        scores = bilinear(scores, size)
        outside = 1 - scores.sigmoid() if scores.shape[1] == 1 else scores.softmax(1)[:, :1]
        x = branch.conv_norm(outside * features, "narrow")
        x = torch.cat((x, bilinear(edge, size)), 1)
        for conv in range(2 if index else 3):
            x = branch.conv_norm_relu(x, f"convs.{conv}")
        scores = branch.conv_norm(x, "last") + scores
    return scores


def _receptive_field(w, x):
    levels = [w.conv_norm(x, "branches.0")]
    for branch, side in enumerate((3, 5, 7), start=1):
        y = w.conv_norm(x, f"branches.{branch}.0")
        y = w.norm(w.conv(y, f"branches.{branch}.1.0"), f"branches.{branch}.1.1")
        y = w.norm(w.conv(y, f"branches.{branch}.2.0"), f"branches.{branch}.2.1")
        levels.append(w.conv_norm(y, f"branches.{branch}.3", dilation=side))
    return (w.conv_norm(torch.cat(levels, 1), "join") + w.conv_norm(x, "shortcut")).relu()


def _partial_decoder(w, deep, middle, fine):
    """Equation 3 of the cascaded partial decoder: each level times the upsampled coarser ones."""

    def up(x, like):
        return bilinear(x, like.shape[2:], align_corners=True)

    deep_middle, middle_fine = up(deep, middle), up(middle, fine)
    deep_fine = up(deep_middle, fine)
    second = w.conv_norm(deep_middle, "deep_to_middle") * middle
    third = w.conv_norm(deep_fine, "deep_to_fine") * w.conv_norm(middle_fine, "middle_to_fine") * fine
    joined = torch.cat((second, w.conv_norm(deep_middle, "deep_beside_middle")), 1)
    joined = w.conv_norm(joined, "join_middle")
    joined = torch.cat((third, w.conv_norm(up(joined, fine), "coarse_beside_fine")), 1)
    return w.conv(w.conv_norm(w.conv_norm(joined, "join_fine"), "last"), "head.conv")


HEADS, CHANNELS = 4, 32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layers", [0, 2])
def test_per_pixel_baselines(randomize, size, layers):
    """Section 4.2: MaskFormer's pixel decoder with a classifier, or with a query for each class."""
    options = {"channels": CHANNELS, "heads": HEADS, "feedforward": 48, "decoder_layers": layers}
    w, (_, *maps), found = _scored(randomize, "per-pixel", size, **options)
    features = _pixel_decoder(w.at("pixel_decoder"), maps)
    expected = w.conv(features, "classifier.conv") if not layers else _by_queries(w, maps[-1], features)
    assert_same(found, expected)


def _pixel_decoder(w, maps):
    def block(x, name):
        return w.group_norm(w.conv(x, f"{name}.conv"), f"{name}.norm")

    x = block(maps[3], "smoothing.3").relu()
    for level in (2, 1, 0):
        side = block(maps[level], f"laterals.{level}")
        rows, columns = (
            torch.arange(side.shape[axis]) * x.shape[axis] // side.shape[axis] for axis in (2, 3)
        )
        x = block(side + x[:, :, rows][:, :, :, columns], f"smoothing.{level}").relu()
    return w.conv(x, "mask_features")


def _by_queries(w, top, features):
    """DETR's decoder: self-attention, attention to the coarsest map, an MLP; norms follow the sums."""
    decoder = w.at("head.query_decoder")
    pixels = decoder.conv(top, "input_proj")
    keys = pixels.flatten(2).transpose(1, 2)
    placed = keys + torch.tensor(_positions(*pixels.shape[2:]))
    embed = decoder["query_embed"]
    queries = torch.zeros(len(keys), *embed.shape)
    for index in range(2):
        layer = decoder.at(f"layers.{index}")
        with_place = queries + embed
        added = layer.attention(with_place, with_place, queries, "self_attn", HEADS)
        queries = layer.layer_norm(queries + added, "self_norm")
        added = layer.attention(queries + embed, placed, keys, "cross_attn", HEADS)
        queries = layer.layer_norm(queries + added, "cross_norm")
        mlp = layer.at("feedforward")
        added = mlp.linear(mlp.linear(queries, "linear1").relu(), "linear2")
        queries = mlp.layer_norm(queries + added, "norm")
    queries = decoder.layer_norm(queries, "norm")
    for step in (0, 2):
        queries = w.linear(queries, f"head.mask_embed.{step}").relu()
    masks = w.linear(queries, "head.mask_embed.4")
    return (masks @ features.flatten(2)).unflatten(2, features.shape[2:])


def _positions(height, width):
    """Sines and cosines of the row, then of the column, from 0 to 2 pi, in wavelengths up to 10000."""
    half = CHANNELS // 2
    encoding = []
    for row in range(height):
        for column in range(width):
            pixel = []
            for place, length in ((row, height), (column, width)):
                angle = 2 * math.pi * (place + 1) / length
                for i in range(half // 2):
                    scaled = angle / 10000 ** (2 * i / half)
                    pixel += [math.sin(scaled), math.cos(scaled)]
            encoding.append(pixel)
    return encoding
