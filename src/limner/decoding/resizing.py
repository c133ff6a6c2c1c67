"""Resizing of scores, a few rows at a time.

Shape legend: B batch, K channels, *s network resolution, *S wanted resolution.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from math import prod

import torch
import torch.nn.functional as F

from limner.core.outputs import resize_logits

_CHUNK_ELEMENTS = 2**20
"""Scores in memory at full resolution at once: 4 MiB, which fits in the CPU cache."""

_CHUNK_ELEMENTS_ACCELERATOR = 2**26

_Rows = Callable[[int, int], torch.Tensor]
"""First row, and the row after the last -> scores (B, K, rows, ...) of any type."""


def resized_in_chunks(logits: torch.Tensor, size: Sequence[int]) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield slices of the first spatial axis, and the float32 scores (B, K, rows, ...) resized there."""
    step = _rows_at_once(logits, size)
    for start in range(0, size[0], step):
        rows = slice(start, min(start + step, size[0]))
        yield rows, _resized_rows(lambda a, b: logits[:, :, a:b], logits.shape[2], size, rows)


def resized_bands(
    bands: Iterable[tuple[slice, torch.Tensor]], height: int, size: Sequence[int]
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Resize scores that come band by band; equal to resizing all of them at once.

    Rows between two bands wait for the next one, so that only one row of the last band is held.

    Args:
        bands: Slices of the first spatial axis, one after the other, and the scores (B, K, rows, ...) there.
        height: Length of that axis.
        size: *S.

    Yields:
        Slices of the first axis of the result, and the float32 scores (B, K, rows, ...) there.
    """
    done = 0
    above: torch.Tensor | None = None  # the last row of the band before
    for place, band in bands:
        rows_between = partial(_rows_of_band, band, place.start, above)
        step = _rows_at_once(band, size)
        known = _known_rows(place.stop, height, size[0])
        while done < known:
            rows = slice(done, min(done + step, known))
            yield rows, _resized_rows(rows_between, height, size, rows)
            done = rows.stop
        above = band[:, :, -1:].clone()


def _rows_of_band(
    band: torch.Tensor, start: int, above: torch.Tensor | None, first: int, end: int
) -> torch.Tensor:
    """Return rows from `first` to `end` of a band that starts at row `start`, after the row `above`."""
    if first >= start:
        return band[:, :, first - start : end - start]
    assert above is not None and first == start - 1, "neighbours are at most one row apart"
    return torch.cat((above, band[:, :, : end - start]), 2)


def _rows_at_once(logits: torch.Tensor, size: Sequence[int]) -> int:
    limit = _CHUNK_ELEMENTS if logits.device.type == "cpu" else _CHUNK_ELEMENTS_ACCELERATOR
    return max(1, limit // max(1, logits.shape[0] * logits.shape[1] * prod(size[1:])))


def _known_rows(seen: int, height: int, wanted: int) -> int:
    """Return how many rows of the result depend on the first `seen` of `height` rows only."""
    if seen == height:
        return wanted
    _, below, _ = _neighbours(slice(0, wanted), height, wanted, torch.device("cpu"))
    return int((below < seen).sum())


def _neighbours(
    rows: slice, height: int, wanted: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return for rows of the result the two rows between which each is, and the weight of the second."""
    # Pixel centres, as in F.interpolate with align_corners=False.
    position = torch.arange(rows.start, rows.stop, dtype=torch.float32, device=device)
    position = ((position + 0.5) * (height / wanted) - 0.5).clamp_(min=0)
    above = position.long()
    return above, (above + 1).clamp_(max=height - 1), position - above


def _resized_rows(rows_between: _Rows, height: int, size: Sequence[int], rows: slice) -> torch.Tensor:
    """Return only `rows` of the first axis of the result of `resize_logits`."""
    if height == size[0]:
        part = rows_between(rows.start, rows.stop).float()
    else:
        above, below, weight = _neighbours(rows, height, size[0], torch.device("cpu"))
        first, last = int(above[0]), int(below[-1]) + 1
        block = rows_between(first, last).float()
        above, below = above.to(block.device), below.to(block.device)
        weight = weight.to(block.device).view(-1, *[1] * (block.ndim - 3))
        part = torch.lerp(block[:, :, above - first], block[:, :, below - first], weight)
    return _resized_across(part, size[1:])


def _resized_across(part: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Resize all spatial axes but the first."""
    if len(size) == 1:
        return resize_logits(part, (part.shape[2], *size))
    if part.shape[3:] == torch.Size(size):
        return part
    # The rows of volumes are planes: one axis less to interpolate along.
    planes = F.interpolate(part.flatten(1, 2), tuple(size), mode="bilinear", align_corners=False)
    return planes.view(*part.shape[:3], *size)
