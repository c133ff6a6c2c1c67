import pytest
import torch

from limner.exporting.writing import trace
from limner.networks import build_network
from limner.networks.backbones import build_backbone
from limner.networks.backbones.mpvit import MPViT, MPViTShape, _FactorizedAttention, _Windows


def test_takes_any_size():
    backbone = build_backbone("mpvit_tiny", in_channels=1).eval()
    with torch.no_grad():
        maps = backbone(torch.randn(1, 1, 33, 70))
    for features, channels, stride in zip(maps, (96, 176, 216, 216), (4, 8, 16, 32), strict=True):
        assert features.shape == (1, channels, *(-(-length // stride) for length in (33, 70)))


def test_attention_is_the_papers_formula():
    # Equation 8 of Co-Scale: Q / sqrt(C) (softmax(K)^T V) + Q o conv(V), head by head; 8 heads of 2 channels.
    torch.manual_seed(0)
    attention, windows = _FactorizedAttention(16), _Windows(16)
    tokens = torch.randn(1, 12, 16)
    query, key, value = attention.qkv(tokens)[0].split(16, dim=1)
    image = value.T.view(1, 16, 3, 4)
    # Heads 0-1 look through windows of 3, 2-4 of 5, 5-7 of 7.
    around = (
        torch.cat(
            [
                windows.convs[0](image[:, :4]),
                windows.convs[1](image[:, 4:10]),
                windows.convs[2](image[:, 10:]),
            ],
            dim=1,
        )[0]
        .flatten(1)
        .T
    )
    heads = []
    for head in range(8):
        own = slice(2 * head, 2 * head + 2)
        summary = key[:, own].softmax(dim=0).T @ value[:, own]
        heads.append(query[:, own] @ summary / 2**0.5 + query[:, own] * around[:, own])
    expected = attention.proj(torch.cat(heads, dim=1))
    torch.testing.assert_close(attention(tokens, [3, 4], windows)[0], expected)


def test_upernet_on_mpvit_trains_on_one_small_image():
    network = build_network("upernet", num_classes=2, backbone="mpvit_tiny", channels=8, auxiliary_channels=8)
    outputs = network.train()(torch.randn(1, 3, 33, 33))
    (outputs.logits.square().mean() + outputs.auxiliary[0].logits.square().mean()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.slow
def test_exports():
    backbone = MPViT(MPViTShape((16, 16, 16, 16), (1, 1, 1, 1))).eval()
    image = torch.randn(1, 3, 33, 33)
    program = trace(backbone, image, is_free=False)
    with torch.no_grad():
        for found, expected in zip(program.module()(image), backbone(image), strict=True):
            torch.testing.assert_close(found, expected)
