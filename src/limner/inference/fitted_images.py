"""Resizing images to the size that a model expects.

Shape legend: B batch, C channels, H and W height and width.
"""

import torch
from torch.nn import functional as F

from limner.core.plan import ResizePlan
from limner.transforms.fitted_size import fitted_size


def fit_images(images: torch.Tensor, plan: ResizePlan, *, reduction: int = 1) -> torch.Tensor:
    """Resize images (B, C, H, W) linearly with antialiasing; return `images` itself if they fit.

    Args:
        images: The images.
        plan: The size.
        reduction: As of `Picture`: the size is that for images whose sides are so many times longer.
    """
    if plan.is_noop and reduction == 1:
        return images
    height, width = images.shape[2:]
    size = fitted_size(height * reduction, width * reduction, plan)
    if size == (height, width):
        return images
    return F.interpolate(images.float(), size, mode="bilinear", antialias=True)
