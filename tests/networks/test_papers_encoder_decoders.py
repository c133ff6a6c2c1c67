"""SegNet, ResUNet, ResUNet++ and the 3D U-Net give the scores of second implementations."""

import pytest
import torch
from by_hand import Weights, assert_same
from torch.nn import functional as F

from limner.networks import build_network


def _pair(randomize, name, size, **options):
    network = randomize(build_network(name, num_classes=4, **options))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return Weights.of(network), images, network(images).logits


@pytest.mark.parametrize("size", [(64, 96), (45, 67)])
def test_segnet(randomize, size):
    widths, convs = (6, 8, 10, 12, 12), (2, 2, 3, 3, 3)
    weights, images, found = _pair(randomize, "segnet", size, widths=widths, convs=convs)
    assert_same(found, _segnet(weights, images, convs))


def _segnet(w, x, convs):
    """Figure 3 of the paper: the 13 convolutions of VGG16, five poolings, and their mirror image."""
    places = []
    for block, depth in enumerate(convs):
        for index in range(depth):
            x = w.conv_norm_relu(x, f"encoder.{block}.{index}")
        size = x.shape[2:]
        x, index = F.max_pool2d(x, 2, return_indices=True)
        places.append((index, size))
    for block, depth in enumerate(reversed(convs)):
        index, (height, width) = places.pop()
        sparse = x.new_zeros(*x.shape[:2], height * width)
        x = sparse.scatter(2, index.flatten(2), x.flatten(2)).unflatten(2, (height, width))
        # The last convolution before the scores is the classifier.
        for layer in range(depth - (block == len(convs) - 1)):
            x = w.conv_norm_relu(x, f"decoder.{block}.{layer}")
    return w.conv(x, "head.conv")


@pytest.mark.parametrize("size", [(64, 96), (45, 67)])
def test_resunet(randomize, size):
    weights, images, found = _pair(randomize, "resunet", size, widths=(4, 6, 8, 10))
    assert_same(found, _resunet(weights, images))


def _preactivated(w, x, *, stride=1):
    """Table I: normalise, activate and convolve twice, beside a convolution of the input."""
    inside = w.conv(w.norm(x, "residual.0").relu(), "residual.2", stride=stride)
    inside = w.conv(w.norm(inside, "residual.3").relu(), "residual.5")
    return inside + w.norm(w.conv(x, "shortcut.0", stride=stride), "shortcut.1")


def _resunet(w, x):
    stem = w.at("stem")
    inside = stem.norm(stem.conv(x, "residual.0"), "residual.1").relu()
    first = stem.conv(inside, "residual.3") + stem.conv(x, "shortcut.0")
    second = _preactivated(w.at("encoder.0"), first, stride=2)
    third = _preactivated(w.at("encoder.1"), second, stride=2)
    x = _preactivated(w.at("encoder.2"), third, stride=2)
    for level, skip in enumerate((third, second, first)):
        up = w.up(x, f"ups.{level}")[..., : skip.shape[2], : skip.shape[3]]
        x = _preactivated(w.at(f"decoder.{level}"), torch.cat((up, skip), 1))
    return w.conv(x, "head.conv")


# Atrous convolutions of rate 18 see the padding on any map; the sides are multiples of 8, or are not.
@pytest.mark.parametrize("size", [(64, 96), (45, 67)])
def test_resunetplusplus(randomize, size):
    weights, images, found = _pair(randomize, "resunetplusplus", size, widths=(8, 10, 12, 14, 16))
    assert_same(found, _resunetplusplus(weights, images))


def _squeezed(w, x):
    """Squeeze and excitation: each channel is weighted by a function of all their means."""
    means = x.mean((2, 3))
    gate = w.linear(w.linear(means, "squeeze").relu(), "excite").sigmoid()
    return x * gate[:, :, None, None]


def _atrous(w, x):
    summed = sum(w.conv_norm(x, f"branches.{i}", dilation=rate) for i, rate in enumerate((1, 6, 12, 18)))
    return w.conv(summed, "project")


def _resunetplusplus(w, x):
    """Figure 2 of the paper and the authors' Keras code: encoder, bridge of ASPP, attention, ASPP."""

    def gated(name, x):
        return w.conv(w.norm(x, f"{name}.0").relu(), f"{name}.2")

    stem = w.at("stem.unit")
    inside = stem.norm(stem.conv(x, "residual.0"), "residual.1").relu()
    shortcut = stem.norm(stem.conv(x, "shortcut.0"), "shortcut.1")
    skips = [_squeezed(w.at("stem"), stem.conv(inside, "residual.3") + shortcut)]
    for level in range(3):
        unit = w.at(f"encoder.{level}")
        skips.append(_squeezed(unit, _preactivated(unit.at("unit"), skips[-1], stride=2)))
    x = _atrous(w.at("context"), skips.pop())
    for level in range(3):
        skip, block = skips.pop(), f"decoder.{level}"
        pooled = F.max_pool2d(gated(f"{block}.from_skip", skip), 2, ceil_mode=True)
        weight = gated(f"{block}.attention", pooled + gated(f"{block}.from_coarse", x))
        rows = torch.arange(skip.shape[2]) * x.shape[2] // skip.shape[2]
        columns = torch.arange(skip.shape[3]) * x.shape[3] // skip.shape[3]
        nearest = (weight * x)[:, :, rows][:, :, :, columns]
        unit = w.at(f"{block}.unit")
        x = _squeezed(unit, _preactivated(unit.at("unit"), torch.cat((nearest, skip), 1)))
    return w.conv(_atrous(w.at("last_context"), x), "head.conv")


def test_unet3d_as_in_the_paper(randomize):
    """Figure 2: valid 3x3x3 convolutions, twice the channels before each pooling, 2x2x2 up-convolutions."""
    options = {"widths": (4, 8, 12), "padding": "valid", "mirror_input": False}
    weights, images, found = _pair(randomize, "unet3d", (44, 52, 60), **options)

    def block(x, name):
        for index in range(2):
            x = weights.conv_norm_relu(x, f"{name}.{index}", padding=0)
        return x

    skips = [block(images, "encoder.0")]
    skips.append(block(F.max_pool3d(skips[-1], 2), "encoder.1"))
    x = block(F.max_pool3d(skips[-1], 2), "encoder.2")
    for level, skip in enumerate(reversed(skips)):
        x = weights.up(x, f"decoder.{level}.up")
        cut = [(have - want) // 2 for have, want in zip(skip.shape[2:], x.shape[2:], strict=True)]
        inner = tuple(slice(c, c + want) for c, want in zip(cut, x.shape[2:], strict=True))
        x = block(torch.cat((skip[(..., *inner)], x), 1), f"decoder.{level}.convs")
    assert_same(found, weights.conv(x, "head.classifier.conv"))
