"""Sinusoidal position encoding of pixels.

Paper: End-to-End Object Detection with Transformers (Carion et al., ECCV 2020),
https://arxiv.org/abs/2005.12872, which extends the encoding of Attention Is All You Need to two axes.

Shape legend: H and W a map's height and width, C channels.
"""

import math

import torch

TEMPERATURE = 10000.0
"""Ratio of the longest wavelength to the shortest."""


def sine_position(
    size: tuple[int, int], channels: int, *, like: torch.Tensor, offset: float = 0.0
) -> torch.Tensor:
    """Return the encoding of each pixel of a map; coordinates run from 0 to 2 pi for any size.

    Args:
        size: H and W.
        channels: C, a multiple of 4; the first half encodes the row, the second the column.
        like: Tensor whose device and dtype are used.
        offset: Shift in pixels; -0.5 in Deformable DETR, where pixels are at their centres.

    Returns:
        (H * W, C), row by row.
    """
    assert channels % 4 == 0, f"{channels} channels are not divisible by 4"

    def along(length: int) -> torch.Tensor:  # (length, channels / 2)
        place = torch.arange(1, length + 1, dtype=torch.float32, device=like.device) + offset
        return sine_of((place / (length + 1e-6)).unsqueeze(1), channels // 2)

    rows, columns = along(size[0]), along(size[1])
    encoding = torch.cat(
        (rows.unsqueeze(1).expand(-1, size[1], -1), columns.unsqueeze(0).expand(size[0], -1, -1)), -1
    )
    return encoding.flatten(0, 1).to(like.dtype)


def pixel_sine_position(size: tuple[int, int], channels: int, *, like: torch.Tensor) -> torch.Tensor:
    """Return the encoding of each pixel of a map by its row and column, counted in pixels from 0.

    Unlike that of `sine_position`, it depends on the size of the map; it is RT-DETR's.

    Args:
        size: H and W.
        channels: C, a multiple of 4: sines and cosines of the row, then those of the column.
        like: Tensor whose device and dtype are used.

    Returns:
        (H * W, C), row by row.
    """
    assert channels % 4 == 0, f"{channels} channels are not divisible by 4"
    quarter = channels // 4
    exponent = torch.arange(quarter, dtype=torch.float32, device=like.device) / quarter
    rows, columns = (
        torch.arange(length, dtype=torch.float32, device=like.device)[:, None] / TEMPERATURE**exponent
        for length in size
    )
    rows, columns = rows.repeat_interleave(size[1], 0), columns.repeat(size[0], 1)
    return torch.cat((rows.sin(), rows.cos(), columns.sin(), columns.cos()), 1).to(like.dtype)


def sine_of(places: torch.Tensor, channels: int) -> torch.Tensor:
    """Return the encoding of numbers, 1 of which is 2 pi.

    Args:
        places: (..., n) numbers, usually from 0 to 1.
        channels: Channels of each number, even.

    Returns:
        (..., n * channels) float32, one number after the other.
    """
    exponent = torch.arange(0, channels, 2, dtype=torch.float32, device=places.device) / channels
    angle = (places.float() * (2 * math.pi)).unsqueeze(-1) / TEMPERATURE**exponent
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(-3)
