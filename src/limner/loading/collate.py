"""Collation of samples of the same size into a batch.

Shape legend: B batch, C channels, S spatial axes.
"""

from collections.abc import Sequence

import numpy as np

from limner.core.batch import Batch, empty_tensor
from limner.core.errors import DataError, describe
from limner.core.sample import Sample

TRAVEL_AS = {np.dtype(np.uint16): np.dtype(np.float32), np.dtype(np.float64): np.dtype(np.float32)}
"""Conversion of types that some devices do not support; float32 represents 16-bit values exactly."""


def collate(samples: Sequence[Sample], *, pin_memory: bool = False) -> Batch:
    """Stack samples into one batch, copying each image once.

    The images are copied into a (B, *S, C) buffer, which is returned as a (B, C, *S) view: channels-last in
    memory without another copy.

    Args:
        samples: B samples of the same size, dtype and kinds of targets.
        pin_memory: Put the batch in page-locked memory, from which accelerators copy in the background.

    Raises:
        DataError: The samples differ in kind; names two of them.
    """
    first = samples[0]
    for other in samples:
        if _kind(other) != _kind(first):
            raise _kinds_differ(first, other)
    dtype = TRAVEL_AS.get(first.image.dtype, first.image.dtype)
    images = empty_tensor((len(samples), *first.image.shape), dtype, pin_memory=pin_memory)
    np.stack([s.image for s in samples], out=images.numpy(), casting="same_kind")
    of_each_kind = zip(*(s.targets for s in samples), strict=True)
    targets = {type(each[0]): type(each[0]).stack(each, pin_memory=pin_memory) for each in of_each_kind}
    return Batch(images.movedim(-1, 1), tuple(s.name for s in samples), targets)


def _kind(sample: Sample) -> str:
    kinds = ", ".join(target.key for target in sample.targets)
    labels = f"labelled ({kinds})" if kinds else "unlabelled"
    size = " x ".join(map(str, sample.spatial_shape))
    return f"{size}, {sample.image.shape[-1]} channels, {sample.image.dtype}, {labels}"


def _kinds_differ(first: Sample, other: Sample) -> DataError:
    return DataError(
        describe(
            "Images of one batch must have the same size, channels, type and kinds of labels",
            where=other.name,
            found=_kind(other),
            expected=f"{_kind(first)}, as in {first.name}",
            fix="Convert the images to the same kind; `limner check` lists them.",
        )
    )
