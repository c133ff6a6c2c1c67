import pytest
import torch
from torch import nn

from limner.layers.atrous_pyramid import AtrousPyramid
from limner.layers.convolution import ConvNormAct, SeparableConvNormAct
from limner.layers.fcn_head import FCNHead
from limner.layers.pyramid_pooling import PyramidPooling
from limner.layers.resize import resize


def names(block):
    return [name for name, _ in block.named_children()]


def test_the_parts_that_do_nothing_are_left_out():
    assert names(ConvNormAct(2, 3)) == ["conv", "norm", "act"]
    assert names(ConvNormAct(2, 3, norm="none", activation="none")) == ["conv"]
    assert names(ConvNormAct(2, 3, norm_first=True)) == ["norm", "conv", "act"]


def test_only_a_convolution_without_normalisation_has_a_bias():
    assert ConvNormAct(2, 3).conv.bias is None
    assert ConvNormAct(2, 3, norm="none").conv.bias is not None
    assert ConvNormAct(2, 3, bias=True).conv.bias is not None


def test_normalising_first_normalises_the_input():
    assert ConvNormAct(2, 3, norm_first=True).norm.num_features == 2


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (3, 1), (3, 5), (5, 2)])
def test_the_size_stays(dims, kernel_size, dilation):
    block = ConvNormAct(2, 3, kernel_size, dilation=dilation, spatial_dims=dims)
    size = (9, 8, 7)[:dims]
    assert block(torch.randn(2, 2, *size)).shape == (2, 3, *size)


def test_a_separable_convolution_has_about_a_ninth_of_the_weights():
    # Full: 64 * 64 * 9 = 36864. Separable: 64 * 9 + 64 * 64 = 4672, and four vectors of 64 for two norms.
    assert sum(p.numel() for p in SeparableConvNormAct(64, 64).parameters()) == 4672 + 4 * 64
    assert (
        sum(p.numel() for p in SeparableConvNormAct(64, 64, act_between=False).parameters()) == 4672 + 2 * 64
    )


def test_a_map_of_the_right_size_is_not_copied():
    features = torch.randn(1, 2, 4, 5)
    assert resize(features, (4, 5)) is features
    assert resize(features, (8, 10)).shape == (1, 2, 8, 10)
    assert resize(torch.randn(1, 2, 3, 4, 5), (6, 8, 10)).shape == (1, 2, 6, 8, 10)


def test_resizing_keeps_the_corners_in_place_where_asked():
    line = torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    # Corners aligned: 0, 1/3, 2/3, 1. Pixel areas aligned: centres at -1/4, 1/4, 3/4, 5/4, clamped.
    assert resize(line, (1, 4), align_corners=True).flatten().tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert resize(line, (1, 4)).flatten().tolist() == pytest.approx([0, 0.25, 0.75, 1])


def test_the_whole_image_reaches_every_pixel_of_the_atrous_pyramid():
    torch.manual_seed(0)
    pyramid = AtrousPyramid(2, 32, rates=(2,)).eval()  # so many channels that ReLU leaves some alive
    features = torch.randn(1, 2, 33, 33, requires_grad=True)
    pyramid(features)[0, :, 0, 0].sum().backward()
    assert features.grad[0, :, 32, 32].abs().sum() > 0  # far beyond any kernel


def test_an_image_of_one_trains_through_both_pyramids():
    features = torch.randn(1, 8, 5, 6)
    for module in (AtrousPyramid(8, 4, rates=(1, 2)), PyramidPooling(8, 4)):
        assert module.train()(features).shape == (1, 4, 5, 6)


def test_a_constant_image_stays_constant_under_pyramid_pooling_but_for_the_border():
    module = PyramidPooling(3, 5).eval()
    scores = module(torch.ones(1, 3, 12, 12))[0, :, 1:-1, 1:-1]
    torch.testing.assert_close(scores, scores[:, :1, :1].expand_as(scores))


def test_an_fcn_head_without_convolutions_is_a_classifier():
    head = FCNHead(6, 6, num_classes=4, num_convs=0, dropout=0.0)
    assert [type(module) for module in head.modules() if not list(module.children())] == [
        nn.Sequential,
        nn.Conv2d,
    ]
