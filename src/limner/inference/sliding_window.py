"""Prediction of large images in overlapping windows, band by band, with bounded memory.

Windows are on a grid, so their blending weights are products of one-dimensional ones, which are normalised
in advance: at each pixel, the weights of all windows sum to 1, so neither a second accumulator nor a division
is needed. The rows of a band above the start of the next band are finished.

Shape legend: B batch, C channels, K classes, *S spatial axes, n windows along an axis, w window size.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from types import EllipsisType

import numpy as np
import torch

SIGMA = 0.125
"""Standard deviation of the Gaussian weight, relative to the window, as in nnU-Net (Isensee et al. 2021)."""


def window_starts(size: int, window: int, overlap: float) -> list[int]:
    """Return the starts of windows along one axis: evenly spaced, the first and last at the ends.

    Args:
        size: Length of the axis, at least `window`.
        window: Length of a window.
        overlap: Minimum fraction of a window that overlaps with its neighbour, in [0, 1).
    """
    stride = max(1, int(window * (1 - overlap)))
    steps = math.ceil((size - window) / stride)
    return [round(i * (size - window) / steps) for i in range(steps + 1)] if steps else [0]


def window_weights(size: int, window: int, starts: Sequence[int]) -> torch.Tensor:
    """Return the blending weights along one axis: Gaussian, normalised to sum to 1 at each pixel.

    Returns:
        (n, w) float32.
    """
    centred = (np.arange(window) - (window - 1) / 2) / (SIGMA * window)
    gaussian = np.exp(-0.5 * centred**2)
    total = np.zeros(size)
    for start in starts:
        total[start : start + window] += gaussian
    return torch.tensor(
        np.stack([gaussian / total[start : start + window] for start in starts]), dtype=torch.float32
    )


def sliding_window(
    forward: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    *,
    window: Sequence[int],
    overlap: float,
    windows_at_once: int = 1,
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Run a network over windows, and yield the blended scores band by band from top to bottom.

    Args:
        forward: Maps (b, C, *window) to scores (b, K, *window), with b up to `windows_at_once` times B.
        images: (B, C, *S); axes shorter than the window are padded by reflection.
        window: Size of a window, one number per axis.
        overlap: Minimum fraction of a window that overlaps with its neighbour.
        windows_at_once: Number of windows per batch.

    Yields:
        A slice of the first spatial axis, and the scores (B, K, rows, ...) float32 there.
    """
    size = tuple(images.shape[2:])
    images = pad_by_reflection(images, window)
    grid = [window_starts(s, w, overlap) for s, w in zip(images.shape[2:], window, strict=True)]
    weights = [
        window_weights(s, w, starts).to(images.device)
        for s, w, starts in zip(images.shape[2:], window, grid, strict=True)
    ]
    # Padding is cropped again; a padded first axis has one window, so one band.
    inside = [_middle(s, padded) for s, padded in zip(size, images.shape[2:], strict=True)]
    open_rows: torch.Tensor | None = None
    for index, start in enumerate(grid[0]):
        band = _band(forward, images, start, grid[1:], weights, index, window, windows_at_once)
        if open_rows is not None:
            band[:, :, : open_rows.shape[2]] += open_rows
        end = grid[0][index + 1] if index + 1 < len(grid[0]) else start + window[0]
        finished, open_rows = band[:, :, : end - start], band[:, :, end - start :]
        if size[0] < window[0]:
            finished, start, end = finished[:, :, inside[0]], 0, size[0]
        yield slice(start, end), _cut_out(finished, inside[1:])


def each_window(
    images: torch.Tensor, *, window: Sequence[int], overlap: float
) -> Iterator[tuple[tuple[int, ...], torch.Tensor]]:
    """Yield every window of images on its own, the last axis fastest.

    Args:
        images: (B, C, *S); axes shorter than the window are padded by reflection.
        window: Size of a window, one number per axis.
        overlap: Minimum fraction of a window that overlaps with its neighbour.

    Yields:
        The first pixel along each axis in the image without padding, and the part (B, C, *window).
    """
    size = images.shape[2:]
    images = pad_by_reflection(images, window)
    before = [_middle(s, padded).start for s, padded in zip(size, images.shape[2:], strict=True)]
    grid = [window_starts(s, w, overlap) for s, w in zip(images.shape[2:], window, strict=True)]
    for starts in itertools.product(*grid):
        part = _cut_out(images, [slice(s, s + w) for s, w in zip(starts, window, strict=True)])
        yield tuple(s - b for s, b in zip(starts, before, strict=True)), part


def pad_by_reflection(images: torch.Tensor, least: Sequence[int]) -> torch.Tensor:
    """Pad each spatial axis that is shorter than `least` equally at both ends, by reflection.

    Reflects repeatedly if needed, so that an axis of one pixel can be padded to any length.

    Args:
        images: (B, C, *S).
        least: Minimum length of each spatial axis.
    """
    for axis, wanted in enumerate(least, start=2):
        size = images.shape[axis]
        if size >= wanted:
            continue
        period = max(1, 2 * (size - 1))
        place = (torch.arange(wanted, device=images.device) - (wanted - size) // 2) % period
        images = images.index_select(axis, torch.minimum(place, period - place) if size > 1 else place)
    return images


def _middle(size: int, padded: int) -> slice:
    """Return the position of the image after `pad_by_reflection`."""
    before = (padded - size) // 2
    return slice(before, before + size)


def _band(
    forward: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    start: int,
    grid: Sequence[Sequence[int]],
    weights: Sequence[torch.Tensor],
    index: int,
    window: Sequence[int],
    windows_at_once: int,
) -> torch.Tensor:
    """Return the weighted sum (B, K, w, ...) of all windows that start at row `start`."""
    rows = images[:, :, start : start + window[0]]
    places = list(itertools.product(*[list(enumerate(starts)) for starts in grid]))
    total: torch.Tensor | None = None
    for first in range(0, len(places), windows_at_once):
        some = places[first : first + windows_at_once]
        cuts = [tuple(slice(s, s + w) for (_, s), w in zip(p, window[1:], strict=True)) for p in some]
        scores = forward(torch.cat([_cut_out(rows, cut) for cut in cuts])).float()
        if total is None:
            shape = (len(images), scores.shape[1], window[0], *images.shape[3:])
            total = torch.zeros(shape, device=scores.device)
        for place, cut, part in zip(some, cuts, scores.chunk(len(cuts)), strict=True):
            factors = [weights[0][index], *(weights[a][i] for a, (i, _) in enumerate(place, start=1))]
            _cut_out(total, cut).add_(part * _outer(factors))
    assert total is not None
    return total


def _cut_out(images: torch.Tensor, slices: Sequence[slice]) -> torch.Tensor:
    """Return a view of the last axes, as ``images[..., *slices]`` does from Python 3.11 on."""
    place: tuple[EllipsisType | slice, ...] = (..., *slices)
    return images[place]


def _outer(factors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the outer product of one vector per axis, (*w)."""
    product = factors[0]
    for factor in factors[1:]:
        product = product.unsqueeze(-1) * factor
    return product
