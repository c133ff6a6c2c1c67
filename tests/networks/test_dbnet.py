import pytest
import torch

from limner.core.errors import ConfigError
from limner.networks import build_network
from limner.networks.dbnetplusplus import AdaptiveScaleFusion


def test_thresholds_are_for_training_only():
    network = build_network("dbnet", num_classes=1, channels=16)
    images = torch.randn(2, 3, 64, 96)
    assert network.train()(images).threshold_logits.shape == (2, 1, 64, 96)
    found = network.eval()(images)
    assert found.threshold_logits is None and found.logits.shape == (2, 1, 64, 96)


def test_the_pyramid_adds_coarser_levels_to_finer_ones():
    """With laterals of one and smoothing that copies, each level is the sum of all coarser ones."""
    network = build_network("dbnet", num_classes=1, channels=16)
    for lateral, smoothing in zip(network.laterals, network.smoothing, strict=True):
        torch.nn.init.constant_(lateral.weight, 1 / lateral.in_channels)
        torch.nn.init.zeros_(smoothing.weight)
        smoothing.weight.data[:, :, 1, 1] = torch.eye(16)[:4]
    widths = (64, 128, 256, 512)
    maps = tuple(torch.full((1, width, 16 >> i, 16 >> i), 10.0**i) for i, width in enumerate(widths))
    levels = network.pyramid(maps)
    assert all(level.shape == (1, 4, 16, 16) for level in levels)
    assert [level.mean().item() for level in levels] == pytest.approx([1000, 1100, 1110, 1111])


def test_each_level_has_one_weight_for_each_place():
    torch.manual_seed(0)
    fusion = AdaptiveScaleFusion(16, 4).eval()
    levels = [torch.rand(1, 4, 8, 8) + 0.5 for _ in range(4)]
    with torch.no_grad():
        weights = fusion(levels) / torch.cat(levels, 1)
    for part in weights.split(4, 1):
        torch.testing.assert_close(part, part[:, :1].expand_as(part))
        assert part.min() > 0 and part.max() < 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channels": 18}, "multiple of 4"),
        ({"backbone": "mit_b0", "deformable": True}, "limner's ResNets"),
        ({"backbone": "vit_tiny_patch16_224"}, "strides 4, 8, 16 and 32"),
    ],
)
def test_what_cannot_be_built_is_named(options, said):
    with pytest.raises(ConfigError, match=said):
        build_network("dbnet", num_classes=1, **options)


def test_the_attention_of_mmocr_is_wider():
    """It keeps all channels, where the authors keep a quarter."""
    authors, mmocr = (
        build_network("dbnetplusplus", num_classes=1, channels=32, **options).fusion
        for options in ({}, {"attention_channels": 32})
    )
    assert authors.conv.weight.shape == (8, 32, 3, 3) and mmocr.conv.weight.shape == (32, 32, 3, 3)
    assert mmocr.channel_attention[1].weight.shape[:2] == (8, 32)
