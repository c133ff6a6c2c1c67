"""Resizing and cropping of feature maps, 2D and 3D."""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from limner.layers.dimensions import LINEAR_INTERPOLATION


def resize(features: torch.Tensor, size: Sequence[int], *, align_corners: bool = False) -> torch.Tensor:
    """Resize (B, C, *S) to (B, C, *size), bilinear or trilinear; a map of that size is returned as it is."""
    if features.shape[2:] == torch.Size(size):
        return features
    mode = LINEAR_INTERPOLATION[features.ndim - 2]
    return F.interpolate(features, size=tuple(size), mode=mode, align_corners=align_corners)


def pad_to_multiple(images: torch.Tensor, multiple: int | Sequence[int]) -> torch.Tensor:
    """Pad (B, C, *S) with zeros at the end of each axis to a multiple of `multiple`.

    Args:
        images: (B, C, *S).
        multiple: One number, or one for each axis.
    """
    sizes = images.shape[2:]
    multiples = [multiple] * len(sizes) if isinstance(multiple, int) else list(multiple)
    lacking = [-size % each for size, each in zip(sizes, multiples, strict=True)]
    return F.pad(images, [n for lack in reversed(lacking) for n in (0, lack)])


def cut(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Crop (B, C, *S) to (B, C, *size) at the end of each axis; returns a view."""
    for axis, length in enumerate(size, start=2):
        features = features.narrow(axis, 0, length)
    return features


def enlarge_aligned(features: torch.Tensor, factor: int, size: Sequence[int]) -> torch.Tensor:
    """Enlarge (B, C, h, w) bilinearly by a whole factor with aligned corners, and crop it to `size`.

    This is how segmentation-models-pytorch returns logits; `size` is that of the image.
    """
    if factor == 1:
        return features
    larger = F.interpolate(features, scale_factor=float(factor), mode="bilinear", align_corners=True)
    return cut(larger, size)
