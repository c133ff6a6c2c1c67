"""Prediction of large images in overlapping windows, part by part, with bounded memory.

Windows are on a grid, so their blending weights are products of one-dimensional ones, which are normalised
in advance: at each pixel, the weights of all windows sum to 1, so neither a second accumulator nor a division
is needed. What no later window overlaps is finished and handed out; only the overlap with windows still to
come is held: along the outermost axis, that is about half a window for the whole cross-section of the image.

Shape legend: B batch, C channels, K classes, *S spatial axes, n windows along an axis, w window size.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from limner.decoding.network_runs import Box
from limner.decoding.view_parts import view_of_box
from limner.inference.blending import Blending

Fill = Sequence[float] | None
"""Value of padding in each channel, or None for reflection."""

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
    axis: int = 0,
    fill: Fill = None,
) -> Iterator[tuple[Box, torch.Tensor]]:
    """Run a network over windows, and yield the blended scores of parts of the images as they are finished.

    Windows that show nothing, since each channel has one value everywhere, are given the scores of the first
    such window with these values, which are what the network would return for them too.

    Args:
        forward: Maps (b, C, *window) to scores (b, K, *window), with b up to `windows_at_once` times B. The
            scores are changed in place.
        images: (B, C, *S); axes shorter than the window are padded.
        window: Size of a window, one number per axis.
        overlap: Minimum fraction of a window that overlaps with its neighbour.
        windows_at_once: Number of windows per batch.
        axis: Spatial axis along which the parts follow each other; parts with one place on it follow each
            other along the other axes, the last fastest.
        fill: Value of padding in each channel; None pads by reflection.

    Yields:
        A slice of each spatial axis, and the scores (B, K, *box) float32 there. Parts do not overlap.
    """
    size = tuple(images.shape[2:])
    images = pad_images(images, window, fill)
    grid = [window_starts(s, w, overlap) for s, w in zip(images.shape[2:], window, strict=True)]
    weights = [
        window_weights(s, w, starts).to(images.device)
        for s, w, starts in zip(images.shape[2:], window, grid, strict=True)
    ]
    order = (axis, *(other for other in range(len(size)) if other != axis))
    places = [
        tuple(place[order.index(a)] for a in range(len(size)))
        for place in itertools.product(*(range(len(grid[a])) for a in order))
    ]
    corners = (tuple(starts[i] for starts, i in zip(grid, place, strict=True)) for place in places)
    blending = Blending(grid, tuple(window), tuple(images.shape[2:]), order)
    # Padding is cropped again; a padded axis has one window.
    inside = [_middle(s, padded) for s, padded in zip(size, images.shape[2:], strict=True)]
    all_scores = _scores_of_windows(forward, images, corners, window, windows_at_once)
    for place in places:
        scores = next(all_scores)
        scores.mul_(_outer([weights[a][i] for a, i in enumerate(place)]))
        box, finished = blending.add(place, scores)
        # A window with many classes takes as much memory as a network: it is released before the next one.
        part = finished.clone() if finished.numel() < scores.numel() else finished
        del scores, finished
        yield _cropped(box, part, inside)
        del part


def each_window(
    images: torch.Tensor, *, window: Sequence[int], overlap: float, fill: Fill = None
) -> Iterator[tuple[tuple[int, ...], torch.Tensor]]:
    """Yield every window of images on its own, the last axis fastest.

    Args:
        images: (B, C, *S); axes shorter than the window are padded.
        window: Size of a window, one number per axis.
        overlap: Minimum fraction of a window that overlaps with its neighbour.
        fill: Value of padding in each channel; None pads by reflection.

    Yields:
        The first pixel along each axis in the image without padding, and the part (B, C, *window).
    """
    size = images.shape[2:]
    images = pad_images(images, window, fill)
    before = [_middle(s, padded).start for s, padded in zip(size, images.shape[2:], strict=True)]
    grid = [window_starts(s, w, overlap) for s, w in zip(images.shape[2:], window, strict=True)]
    for starts in itertools.product(*grid):
        part = view_of_box(images, [slice(s, s + w) for s, w in zip(starts, window, strict=True)])
        yield tuple(s - b for s, b in zip(starts, before, strict=True)), part


def pad_images(images: torch.Tensor, least: Sequence[int], fill: Fill = None) -> torch.Tensor:
    """Pad each spatial axis that is shorter than `least` equally at both ends.

    Args:
        images: (B, C, *S).
        least: Minimum length of each spatial axis.
        fill: Value of padding in each channel; None pads by reflection.
    """
    return pad_by_reflection(images, least) if fill is None else pad_with(images, least, fill)


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


def pad_with(images: torch.Tensor, least: Sequence[int], fill: Sequence[float]) -> torch.Tensor:
    """Pad each spatial axis that is shorter than `least` equally at both ends, with one value per channel.

    Args:
        images: (B, C, *S).
        least: Minimum length of each spatial axis.
        fill: C values.
    """
    size = images.shape[2:]
    wanted = [max(pair) for pair in zip(size, least, strict=True)]
    if list(size) == wanted:
        return images
    values = torch.tensor(fill, dtype=images.dtype, device=images.device)
    padded = values.view(1, -1, *[1] * len(size)).repeat(images.shape[0], 1, *wanted)
    inside = [_middle(length, longer) for length, longer in zip(size, wanted, strict=True)]
    view_of_box(padded, inside).copy_(images)
    return padded


def _middle(size: int, padded: int) -> slice:
    """Return the position of the image after padding."""
    before = (padded - size) // 2
    return slice(before, before + size)


def _cropped(box: Box, scores: torch.Tensor, inside: Sequence[slice]) -> tuple[Box, torch.Tensor]:
    """Return box and scores of a padded image in the image without its padding."""
    shared = [slice(max(b.start, i.start), min(b.stop, i.stop)) for b, i in zip(box, inside, strict=True)]
    local = [slice(s.start - b.start, s.stop - b.start) for s, b in zip(shared, box, strict=True)]
    cropped = tuple(slice(s.start - i.start, s.stop - i.start) for s, i in zip(shared, inside, strict=True))
    return cropped, view_of_box(scores, local)


def _scores_of_windows(
    forward: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    corners: Iterable[tuple[int, ...]],
    window: Sequence[int],
    at_once: int,
) -> Iterator[torch.Tensor]:
    """Yield the float32 scores (B, K, *window) of the windows that begin at `corners`."""
    corners = iter(corners)
    blank: dict[tuple[float, ...], torch.Tensor] = {}  # of one set of values only: most volumes have one
    while some := tuple(itertools.islice(corners, at_once)):
        parts = [view_of_box(images, [slice(s, s + w) for s, w in zip(c, window, strict=True)]) for c in some]
        values = [_only_values(part) for part in parts]
        shown = [part for part, value in zip(parts, values, strict=True) if value is None]
        scores = [*forward(torch.cat(shown)).float().chunk(len(shown))] if shown else []
        for part, value in zip(parts, values, strict=True):
            if value is None:
                yield scores.pop(0)
                continue
            if value not in blank:
                blank = {value: forward(torch.cat([part])).float()}
            yield blank[value].clone()


def _only_values(part: torch.Tensor) -> tuple[float, ...] | None:
    """Return the value of each channel of a part (B, C, *w) if it has no other, else None."""
    first, last = (view_of_box(part, [end] * (part.ndim - 2)) for end in (slice(0, 1), slice(-1, None)))
    is_blank = bool((first == last).all()) and bool((part == first).all())
    return tuple(first.flatten().tolist()) if is_blank else None


def _outer(factors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the outer product of one vector per axis, (*w)."""
    product = factors[0]
    for factor in factors[1:]:
        product = product.unsqueeze(-1) * factor
    return product
