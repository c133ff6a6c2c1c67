"""Networks for prediction: the same scores, and the original is not changed."""

import pytest
import torch
from torch import nn

from limner.layers.fast_prediction import for_prediction
from limner.layers.onednn_convolution import use_onednn
from limner.layers.winograd import WinogradConv2d, use_winograd
from limner.networks import build_network


def with_statistics(network: nn.Module) -> nn.Module:
    """Return the network in evaluation mode, with statistics, scales and shifts as after training."""
    draws = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            module.running_mean.copy_(torch.randn(module.num_features, generator=draws))
            module.running_var.copy_(torch.rand(module.num_features, generator=draws) * 2 + 0.1)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 2.0, generator=draws)
                nn.init.normal_(module.bias, generator=draws)
    return network.eval()


def norms_in(network: nn.Module) -> int:
    return sum(isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d)) for m in network.modules())


@pytest.mark.parametrize(
    ("name", "dims", "options"),
    [
        ("unet", 3, {"widths": (4, 8, 12)}),
        ("unet", 2, {"widths": (4, 8), "norm_first": True, "upsampling": "bilinear"}),
        ("unet3d", 3, {"widths": (4, 8)}),
        ("linknet", 2, {}),
        ("enet", 2, {}),
        ("vnet", 3, {"width": 4}),
    ],
)
def test_scores_are_the_same(name: str, dims: int, options: dict) -> None:
    torch.manual_seed(0)
    built = build_network(name, num_classes=3, in_channels=1, spatial_dims=dims, pretrained=False, **options)
    network = with_statistics(built)
    images = torch.randn(1, 1, *(32, 32, 32)[:dims])
    shared = for_prediction(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        expected, found = network(images).logits, shared(images).logits
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.abs().max()), rtol=1e-5)
    assert expected.std() > 1e-3
    assert (norms_in(shared) == 0) == (dims == 3 and name != "vnet")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv3d(6, 4, 3, stride=2, groups=2, bias=True),
        nn.ConvTranspose3d(6, 4, 2, stride=2, groups=2, bias=False),
        nn.ConvTranspose2d(6, 4, 3, groups=1, bias=True),
    ],
    ids=str,
)
def test_groups_strides_and_transposed_convolutions(layer: nn.Module) -> None:
    dims = layer.weight.ndim - 2
    norm = nn.BatchNorm3d(4) if dims == 3 else nn.BatchNorm2d(4)
    block = with_statistics(nn.Sequential(layer, norm))
    found = for_prediction(block)
    images = torch.randn(2, 6, *[7] * dims)
    torch.testing.assert_close(found(images), block(images), atol=1e-5, rtol=1e-5)
    assert norms_in(found) == 0
    assert found[0].weight is not layer.weight


def test_what_is_not_for_prediction() -> None:
    shared = nn.Conv2d(3, 3, 1)
    two = nn.Sequential(nn.Sequential(shared, nn.BatchNorm2d(3)), nn.Sequential(shared, nn.BatchNorm2d(3)))
    tied = nn.Conv2d(3, 3, 1)
    tied.weight = shared.weight
    hooked = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    hooked[0].register_forward_hook(lambda *_: None)

    class Branched(nn.Sequential):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            return self[0](maps) + self[1](maps)

    for block in (
        two,
        nn.Sequential(shared, nn.Sequential(tied, nn.BatchNorm2d(3))),
        hooked,
        Branched(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.InstanceNorm2d(3)),
    ):
        assert norms_in(for_prediction(block.eval())) == norms_in(block)
    training = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).train()
    assert norms_in(for_prediction(training)) == 1


def test_the_layout_and_other_weights_are_kept() -> None:
    wide = nn.Sequential(nn.Conv2d(160, 160, 3, padding=1), nn.BatchNorm2d(160), nn.Conv2d(160, 2, 1))
    assert use_winograd(wide) == 1
    wide.to(memory_format=torch.channels_last).eval()
    found = for_prediction(wide)
    assert isinstance(found[0], WinogradConv2d)
    assert found[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not found[0].weight.is_contiguous()
    assert found[2].weight is wide[2].weight


@pytest.mark.parametrize(
    "layer", [nn.Conv3d(3, 4, 3, 2, 1, groups=1), nn.Conv3d(4, 4, (1, 3, 3), bias=False, groups=2)]
)
def test_onednn_computes_the_same(layer: nn.Conv3d, monkeypatch) -> None:
    calls = []
    images = torch.randn(1, layer.in_channels, 7, 8, 9)
    with torch.no_grad():
        expected = layer(images)
    assert use_onednn(layer) == 1
    operation = torch.ops.aten.mkldnn_convolution

    def counted(*arguments: object) -> torch.Tensor:
        calls.append(arguments)
        return operation(*arguments)

    monkeypatch.setattr(torch.ops.aten, "mkldnn_convolution", counted)
    with torch.no_grad():
        torch.testing.assert_close(layer(images), expected, atol=1e-5, rtol=1e-5)
        assert len(calls) == torch.backends.mkldnn.is_available()
        with torch.autocast("cpu", torch.bfloat16):
            layer(images)
    layer(images).sum().backward()
    assert len(calls) == torch.backends.mkldnn.is_available()
    assert layer.weight.grad.abs().sum() > 0
    assert use_onednn(nn.Conv3d(3, 3, 3, padding="same")) == 0
