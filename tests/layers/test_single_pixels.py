"""Gradients of strided convolutions on one pixel, against float32 in the usual layout."""

import pytest
import torch
from torch import nn

from limner.layers.single_pixels import pad_single_pixels


def spoil_free_memory() -> None:
    """Fill memory with NaN and free it, so that what is read before it was written is NaN."""
    sizes = (64, 256, 576, 1024, 2304, 4096, 16384)
    spoilt = [torch.full((size,), float("nan")) for size in sizes for _ in range(8)]
    spoilt += [
        torch.full((2 * size,), float("nan"), dtype=torch.bfloat16) for size in sizes for _ in range(8)
    ]
    del spoilt


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 2), (5, 4)])
def test_gradients_in_bfloat16_are_those_in_float32(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    reference = nn.Conv2d(8, 8, 3, stride=2, padding=1)
    ours = nn.Conv2d(8, 8, 3, stride=2, padding=1).to(memory_format=torch.channels_last)
    ours.load_state_dict(reference.state_dict())
    pad_single_pixels(ours)
    for _ in range(4):
        ours.zero_grad(), reference.zero_grad()
        x = torch.randn(2, 8, *size)
        spoil_free_memory()
        with torch.autocast("cpu", torch.bfloat16):
            found = ours(x.contiguous(memory_format=torch.channels_last))
        expected = reference(x)
        torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)
        weights = torch.randn(expected.shape)
        spoil_free_memory()
        (found.float() * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(ours.weight.grad, reference.weight.grad, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 7, stride=2, padding=3),
        nn.Conv2d(3, 4, 1, stride=2),
        nn.Conv2d(3, 4, 3, stride=2, padding=2, dilation=2),
        nn.Conv2d(3, 4, 2, stride=2, padding=1),
        nn.Conv3d(3, 4, 3, stride=2, padding=1),
    ],
    ids=["7x7", "1x1", "dilated", "even", "3d"],
)
def test_outputs_stay_the_same(layer: nn.Module) -> None:
    images = [torch.randn(2, 3, *[side] * (layer.weight.ndim - 2)) for side in (1, 2, 5)]
    before = [layer(image) for image in images]
    pad_single_pixels(layer)
    for image, expected in zip(images, before, strict=True):
        torch.testing.assert_close(layer(image), expected)
