"""Variants of the authors' codes give the scores of second implementations, from the public code's layers."""

import pytest
import torch
from by_hand import LEAKY, Weights, assert_same, bilinear
from torch.nn import functional as F

from limner.networks import build_network
from limner.networks.weightless import weightless

SIZES = [(64, 96), (65, 97)]


def _built(randomize, name, size, **options):
    network = randomize(build_network(name, num_classes=5, **options))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return Weights.of(network), network, images, network(images).logits


def leaky(x):
    return torch.where(x > 0, x, LEAKY * x)


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
@pytest.mark.parametrize("upsampling", ["transposed", "aligned"])
def test_milesials_unet_at_odd_sizes(randomize, size, upsampling):
    widths = (4, 8, 12, 16, 16 if upsampling == "aligned" else 20)
    options = {"widths": widths, "upsampling": upsampling, "pads": "maps"}
    w, _, images, found = _built(randomize, "unet", size, **options)

    def block(x, name):
        return w.conv_norm_relu(w.conv_norm_relu(x, f"{name}.0"), f"{name}.1")

    skips = [block(images, "encoder.0")]
    for level in range(1, 5):
        skips.append(block(F.max_pool2d(skips[-1], 2), f"encoder.{level}"))
    x = skips.pop()
    for level in range(4):
        skip = skips.pop()
        if upsampling == "aligned":
            double = [2 * side for side in x.shape[2:]]
            x = bilinear(x, double, align_corners=True)
        else:
            x = w.up(x, f"decoder.{level}.up")
        rows, columns = (b - a for a, b in zip(x.shape[2:], skip.shape[2:], strict=True))
        x = F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        x = block(torch.cat((skip, x), 1), f"decoder.{level}.convs")
    assert_same(found, w.conv(x, "head.classifier.conv"))


def test_milesials_bilinear_unet_has_its_parameters():
    # github.com/milesial/Pytorch-UNet, UNet(3, 2, bilinear=True), layer by layer: convolutions without bias.
    with weightless():
        options = {"widths": (64, 128, 256, 512, 512), "upsampling": "aligned"}
        network = build_network("unet", num_classes=2, **options)

    def double(narrow, middle, wide):
        return 9 * (narrow * middle + middle * wide) + 2 * (middle + wide)

    encoder = [(3, 64, 64), (64, 128, 128), (128, 256, 256), (256, 512, 512), (512, 512, 512)]
    decoder = [(1024, 512, 256), (512, 256, 128), (256, 128, 64), (128, 64, 64)]
    by_hand = sum(double(*row) for row in encoder + decoder) + 64 * 2 + 2
    assert sum(p.numel() for p in network.parameters()) == by_hand


@pytest.mark.parametrize("size", SIZES)
def test_semantic_fpn_by_doubling(randomize, size):
    options = {"backbone": "resnet18", "pyramid_channels": 8, "channels": 6, "upsampling": "doubling"}
    w, network, images, found = _built(randomize, "semantic-fpn", size, **options)
    with torch.no_grad():
        maps = network.backbone(images)[1:]
    levels = [w.conv(x, f"laterals.{i}") for i, x in enumerate(maps)]
    for fine in (2, 1, 0):
        levels[fine] = levels[fine] + F.interpolate(levels[fine + 1], size=levels[fine].shape[2:])
    summed = 0
    for level, x in enumerate(levels):
        x = w.conv(x, f"smoothing.{level}")
        for step in range(max(level, 1)):
            x = w.conv_norm_relu(x, f"branches.{level}.{step}")
            x = bilinear(x, [2 * side for side in x.shape[2:]]) if level else x
        summed = summed + bilinear(x, maps[0].shape[2:])
    assert_same(found, w.conv(summed, "head.conv"))


@pytest.mark.parametrize("size", SIZES)
def test_the_authors_ccnet(randomize, size):
    options = {"backbone": "resnet18", "channels": 16, "activation": "leaky_relu", "auxiliary_bias": True}
    w, network, images, found = _built(randomize, "ccnet", size, **options)
    with torch.no_grad():
        deep = network.backbone(images)[-1]
    x = leaky(w.conv_norm(deep, "context.module.0"))
    for _ in range(2):
        x = _criss_cross(w.at("context.module.1"), x)
    x = leaky(w.conv_norm(x, "context.module.2"))
    x = leaky(w.conv_norm(torch.cat((deep, x), 1), "context.fusion"))
    assert_same(found, w.conv(x, "head.conv"))


def _criss_cross(w, x):
    """Each pixel attends to its row and column: written for one pixel after the other."""
    query, key, value = (w.conv(x, name) for name in ("query", "key", "value"))
    out = torch.empty_like(x)
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            others = [r for r in range(x.shape[2]) if r != row]
            keys = torch.cat((key[:, :, others, column], key[:, :, row]), 2)
            values = torch.cat((value[:, :, others, column], value[:, :, row]), 2)
            weights = torch.einsum("bc,bcn->bn", query[:, :, row, column], keys).softmax(1)
            out[:, :, row, column] = torch.einsum("bn,bcn->bc", weights, values)
    return w["gamma"] * out + x


@pytest.mark.parametrize("size", SIZES)
def test_the_authors_ann(randomize, size):
    options = {"backbone": "resnet18", "channels": 16, "attention_channels": 8, "conv_bias": True}
    w, network, images, found = _built(randomize, "ann", size, **options)
    with torch.no_grad():
        *_, low, high = network.backbone(images)
    x = torch.cat((_asymmetric(w.at("fusion"), high, low), high), 1)
    x = w.conv_norm_relu(w.conv_norm(x, "fusion_bottleneck"), "context")
    x = w.conv_norm_relu(torch.cat((_asymmetric(w.at("attention"), x, x), x), 1), "bottleneck")
    assert_same(found, w.conv(x, "head.conv"))
    assert "context.conv.bias" in network.state_dict()


def _asymmetric(w, queries, keys):
    """Attention to the averages of 1, 3 x 3, 6 x 6 and 8 x 8 cells of keys and values."""

    def cells(x):
        return torch.cat([F.adaptive_avg_pool2d(x, side).flatten(2) for side in (1, 3, 6, 8)], 2)

    key = w.conv_norm_relu(keys, "key")
    query = w.conv_norm_relu(queries, "query") if "query.conv.weight" in w.tensors else key
    value = cells(w.conv(keys, "value"))
    scores = query.flatten(2).transpose(1, 2) @ cells(key) / key.shape[1] ** 0.5
    mixed = value @ scores.softmax(-1).transpose(1, 2)
    return w.conv(mixed.unflatten(2, queries.shape[2:]), "out")


@pytest.mark.parametrize("size", [(33, 40)])
def test_fcn8s(randomize, size):
    """The layers of the authors' voc-fcn8s/net.py: a border of 100, and crops at 5, 9 and 31."""
    w, _, images, found = _built(randomize, "fcn8s", size, backbone="vgg13", hidden=24)
    vgg = w.at("backbone")
    x, index, pooled = images, 0, []
    for convs in (2, 2, 2, 2, 2):
        for conv in range(convs):
            first = index == 0 and conv == 0
            x = vgg.conv(x, f"features.{index}", padding=100 if first else 1).relu()
            index += 2
        x = F.max_pool2d(x, 2, ceil_mode=True)
        pooled.append(x)
        index += 1
    x = w.conv(w.conv(x, "fc6", padding=0).relu(), "fc7").relu()
    x = F.conv_transpose2d(w.conv(x, "score_deep.conv"), w["up_deep.weight"], stride=2)
    side = w.conv(pooled[3], "score_middle.conv")[:, :, 5:, 5:]
    x = F.conv_transpose2d(x + side[:, :, : x.shape[2], : x.shape[3]], w["up_middle.weight"], stride=2)
    side = w.conv(pooled[2], "score_fine.conv")[:, :, 9:, 9:]
    x = F.conv_transpose2d(x + side[:, :, : x.shape[2], : x.shape[3]], w["up_fine.weight"], stride=8)
    assert_same(found, x[:, :, 31:, 31:][:, :, : size[0], : size[1]])


def test_fcn8s_interpolates_before_training():
    up = build_network("fcn8s", num_classes=2, backbone="vgg11", hidden=4).up_deep
    with torch.no_grad():
        found = up(torch.ones(1, 2, 4, 4))
    torch.testing.assert_close(found[:, :, 2:-2, 2:-2], torch.ones(1, 2, 6, 6))


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_the_linear_head_of_segmenter(randomize, size):
    options = {
        "backbone": "vit_tiny_patch16_224",
        "num_blocks": 4,
        "image_size": 64,
        "neck": "none",
        "head": "linear",
        "final_norm": True,
        "auxiliary": False,
        "dropout": 0.0,
    }
    w, network, images, found = _built(randomize, "vit", size, **options)
    with torch.no_grad():
        tokens = network.backbone(images)[-1]
    scores = torch.einsum("kc,bchw->bkhw", w["head.conv.weight"][:, :, 0, 0], tokens)
    expected = scores + w["head.conv.bias"].view(1, -1, 1, 1)
    assert_same(found, expected[:, :, : -(-size[0] // 16), : -(-size[1] // 16)])
    assert {name.split(".")[0] for name in network.state_dict()} == {"backbone", "head"}


@pytest.mark.parametrize("name", ["danet", "ccnet", "emanet"])
def test_scores_with_aligned_corners(randomize, name):
    """The authors interpolate the scores in the network: the corners of the map are those of the image."""
    options = {"backbone": "resnet18", "channels": 16}
    plain = randomize(build_network(name, num_classes=5, **options)).eval()
    aligned = build_network(name, num_classes=5, upsampling="aligned", **options).eval()
    aligned.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 41, 57, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        coarse, fine = plain(images).logits, aligned(images).logits
    assert fine.shape[2:] == images.shape[2:]
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        torch.testing.assert_close(fine[:, :, row, column], coarse[:, :, row, column])
    halves = (coarse[:, :, 0, :-1] + coarse[:, :, 0, 1:]) / 2  # 57 pixels for 8: a step of 8, 4 is half of it
    torch.testing.assert_close(fine[:, :, 0, 4::8], halves)
