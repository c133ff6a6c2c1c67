"""Prediction of large images in overlapping windows, part by part, with bounded memory.

Shape legend: B batch, C channels, K classes, *S spatial axes, w window size.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from limner.decoding.network_runs import Box
from limner.decoding.view_parts import view_of_box
from limner.inference.blending import Blending, outer
from limner.inference.window_grid import WindowGrid, place_in_padding

Fill = Sequence[float] | None
"""Value of padding in each channel, or None for reflection."""


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
    grid = WindowGrid(tuple(images.shape[2:]), tuple(window), overlap, axis)
    images = pad_images(images, window, fill)
    blending = Blending[torch.Tensor](grid, torch.Tensor.new_empty)
    boxes = (grid.box(place) for place in grid.places())
    all_scores = _scores_of_windows(forward, images, boxes, windows_at_once)
    for place in grid.places():
        scores = next(all_scores)
        scores.mul_(outer([torch.from_numpy(each).to(scores.device) for each in grid.weights(place)]))
        box, finished = blending.add(place, scores)
        # A window with many classes takes as much memory as a network: it is released before the next one.
        part = finished.clone() if finished.numel() < scores.numel() else finished
        del scores, finished
        shown, local = grid.without_padding(box)
        yield shown, view_of_box(part, local)
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
    grid = WindowGrid(tuple(images.shape[2:]), tuple(window), overlap)
    images = pad_images(images, window, fill)
    for place in grid.places():
        box = grid.box(place)
        starts = (side.start - inside.start for side, inside in zip(box, grid.inside, strict=True))
        yield tuple(starts), view_of_box(images, box)


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
    inside = [place_in_padding(length, longer) for length, longer in zip(size, wanted, strict=True)]
    view_of_box(padded, inside).copy_(images)
    return padded


def _scores_of_windows(
    forward: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
    boxes: Iterable[Box],
    at_once: int,
) -> Iterator[torch.Tensor]:
    """Yield the float32 scores (B, K, *window) of the windows in `boxes`."""
    boxes = iter(boxes)
    blank: dict[tuple[float, ...], torch.Tensor] = {}  # of one set of values only: most volumes have one
    while some := tuple(itertools.islice(boxes, at_once)):
        parts = [view_of_box(images, box) for box in some]
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
