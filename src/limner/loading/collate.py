"""Samples of one size -> one Batch.

Shape legend: B batch, C channels, S spatial axes.
"""

from collections.abc import Sequence

import numpy as np
import torch

from limner.core.batch import Batch, SegmentTargets
from limner.core.errors import DataError, describe
from limner.core.sample import Sample
from limner.core.segments import Segments

TRAVEL_AS = {np.dtype(np.uint16): np.dtype(np.float32), np.dtype(np.float64): np.dtype(np.float32)}
"""Types that some devices do not know: they travel as float32, which holds all 16-bit values exactly."""


def collate(samples: Sequence[Sample], *, pin_memory: bool = False) -> Batch:
    """Stack samples into one batch, copying each image once.

    The (B, *S, C) buffer that the images are copied into is shown as (B, C, *S): channels-last in memory
    without another pass.

    Args:
        samples: B samples of one size and dtype, all labelled or none.
        pin_memory: Put the batch in page-locked memory, from which CUDA devices copy in the background.

    Raises:
        DataError: The samples differ in kind; the message names two that do.
    """
    first = samples[0]
    for other in samples:
        if _kind(other) != _kind(first):
            raise _kinds_differ(first, other)
    dtype = TRAVEL_AS.get(first.image.dtype, first.image.dtype)
    images = _buffer((len(samples), *first.image.shape), dtype, pin_memory)
    np.stack([s.image for s in samples], out=images.numpy(), casting="same_kind")
    semantic = None
    if first.semantic is not None:
        semantic = _buffer((len(samples), *first.spatial_shape), np.dtype(np.uint8), pin_memory)
        np.stack([s.semantic for s in samples if s.semantic is not None], out=semantic.numpy())
    segments = None
    if first.segments is not None:
        segments = tuple(segment_targets(s.segments, pin_memory) for s in samples if s.segments is not None)
    return Batch(images.movedim(-1, 1), semantic, tuple(s.name for s in samples), segments)


def segment_targets(segments: Segments, pin_memory: bool = False) -> SegmentTargets:
    """Return what is trained on: one mask a segment, without crowds and without what a crop left empty."""
    left = segments.select((segments.areas > 0) & ~segments.is_crowd)
    masks = _buffer((len(left), *left.spatial_shape), np.dtype(bool), pin_memory)
    masks.numpy()[...] = left.masks()
    return SegmentTargets(masks, torch.from_numpy(np.array(left.labels)))


def _kind(sample: Sample) -> str:
    labels = "labelled" if sample.is_labelled else "unlabelled"
    labels += " with segments" if sample.segments is not None else ""
    size = " x ".join(map(str, sample.spatial_shape))
    return f"{size}, {sample.image.shape[-1]} channels, {sample.image.dtype}, {labels}"


def _kinds_differ(first: Sample, other: Sample) -> DataError:
    return DataError(
        describe(
            "Images of one batch must be of one kind",
            where=other.name,
            found=_kind(other),
            expected=f"{_kind(first)}, as {first.name}",
            fix="Convert the images to one kind; `limner check` lists them.",
        )
    )


def _buffer(shape: tuple[int, ...], dtype: np.dtype[np.generic], pin_memory: bool) -> torch.Tensor:
    torch_dtype = torch.from_numpy(np.empty(0, dtype)).dtype
    return torch.empty(shape, dtype=torch_dtype, pin_memory=pin_memory)
