"""Samples of one size -> one Batch.

Shape legend: B batch, C channels, S spatial axes.
"""

from collections.abc import Sequence

import numpy as np
import torch

from limner.core.batch import Batch
from limner.core.sample import Sample

TORCH_LIMITED_TYPES = {np.dtype(np.uint16): np.dtype(np.float32), np.dtype(np.uint32): np.dtype(np.float32)}
"""Types that PyTorch hardly computes with: they travel as float32, which holds all 16-bit values exactly."""


def collate(samples: Sequence[Sample], *, pin_memory: bool = False) -> Batch:
    """Stack samples into one batch, copying each image once.

    The (B, *S, C) buffer that the images are copied into is shown as (B, C, *S): channels-last in memory
    without another pass.

    Args:
        samples: B samples of one size and dtype, all labelled or none.
        pin_memory: Put the batch in page-locked memory, from which CUDA devices copy in the background.
    """
    first = samples[0]
    dtype = TORCH_LIMITED_TYPES.get(first.image.dtype, first.image.dtype)
    images = _buffer((len(samples), *first.image.shape), dtype, pin_memory)
    np.stack([s.image for s in samples], out=images.numpy(), casting="same_kind")
    semantic = None
    if first.semantic is not None:
        semantic = _buffer((len(samples), *first.spatial_shape), np.dtype(np.uint8), pin_memory)
        np.stack([s.semantic for s in samples if s.semantic is not None], out=semantic.numpy())
    return Batch(images.movedim(-1, 1), semantic, tuple(s.name for s in samples))


def _buffer(shape: tuple[int, ...], dtype: np.dtype[np.generic], pin_memory: bool) -> torch.Tensor:
    torch_dtype = torch.from_numpy(np.empty(0, dtype)).dtype
    return torch.empty(shape, dtype=torch_dtype, pin_memory=pin_memory)
