import pytest
import torch

from limner.layers.anisotropic_convolution import ConvStyle
from limner.layers.supervised_decoder import SupervisedDecoder


def decoder(heads):
    kernels, strides = [(3, 3)] * 3, [(1, 1), (2, 1), (2, 2), (2, 2)]
    return SupervisedDecoder(
        (2, 3, 4, 5),
        kernels,
        strides,
        (1, 1, 1),
        num_classes=2,
        auxiliary_heads=heads,
        upsampling_bias=True,
        style=ConvStyle(),
    )


def maps():
    return [torch.randn(1, width, *size) for width, size in zip((2, 3, 4, 5), SIZES, strict=True)]


# Of an input of 16 x 16: strides (2, 1), (2, 2) and (2, 2).
SIZES = ((16, 16), (8, 16), (4, 8), (2, 4))


def test_weights_halve_and_sum_to_one():
    outputs = decoder(2).train()(maps(), (16, 16))
    # 1, 1/2, 1/4 divided by 7/4.
    assert outputs.weight == pytest.approx(4 / 7)
    assert [side.weight for side in outputs.auxiliary] == pytest.approx([2 / 7, 1 / 7])
    assert [tuple(side.logits.shape[2:]) for side in outputs.auxiliary] == [(8, 16), (4, 8)]


def test_prediction_has_one_resolution_and_no_padding():
    outputs = decoder(2).eval()(maps(), (13, 16))
    assert outputs.logits.shape == (1, 2, 13, 16)
    assert outputs.auxiliary == ()
    assert outputs.weight == 1


def test_coarse_scores_cover_what_is_not_padding():
    outputs = decoder(2).train()(maps(), (13, 15))
    # ceil(13 / 2) and 15, then ceil(7 / 2) and ceil(15 / 2).
    assert [tuple(side.logits.shape[2:]) for side in outputs.auxiliary] == [(7, 15), (4, 8)]
