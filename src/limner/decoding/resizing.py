"""Resizing of scores, a few rows at a time.

Shape legend: B batch, K channels, *s network resolution, *S wanted resolution.
"""

from collections.abc import Iterator, Sequence
from math import prod

import torch

from limner.core.outputs import resize_logits

_CHUNK_ELEMENTS = 2**20
"""Scores in memory at full resolution at once: 4 MiB, which fits in the CPU cache."""

_CHUNK_ELEMENTS_ACCELERATOR = 2**26


def resized_in_chunks(logits: torch.Tensor, size: Sequence[int]) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield slices of the first spatial axis, and the float32 scores (B, K, rows, ...) resized there."""
    limit = _CHUNK_ELEMENTS if logits.device.type == "cpu" else _CHUNK_ELEMENTS_ACCELERATOR
    elements_a_row = logits[:, :, 0].numel() // prod(logits.shape[3:]) * prod(size[1:])
    step = max(1, limit // max(1, elements_a_row))
    for start in range(0, size[0], step):
        rows = slice(start, min(start + step, size[0]))
        yield rows, _resized_rows(logits, size, rows)


def _resized_rows(logits: torch.Tensor, size: Sequence[int], rows: slice) -> torch.Tensor:
    """Return only `rows` of the first axis of the result of `resize_logits`."""
    height, wanted = logits.shape[2], size[0]
    if height == wanted:
        part = logits[:, :, rows].float()
    else:
        # Pixel centres, as in F.interpolate with align_corners=False.
        position = torch.arange(rows.start, rows.stop, dtype=torch.float32, device=logits.device)
        position = ((position + 0.5) * (height / wanted) - 0.5).clamp_(min=0)
        above = position.long()
        below = (above + 1).clamp_(max=height - 1)
        weight = (position - above).view(-1, *[1] * (logits.ndim - 3))
        first, last = int(above[0]), int(below[-1]) + 1
        block = logits[:, :, first:last].float()
        part = torch.lerp(block[:, :, above - first], block[:, :, below - first], weight)
    return resize_logits(part, (part.shape[2], *size[1:]))
