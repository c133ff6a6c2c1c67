"""Mixing of the images of a batch, for classes of whole images: Mixup and CutMix.

Papers: mixup: Beyond Empirical Risk Minimization (Zhang et al., ICLR 2018), https://arxiv.org/abs/1710.09412;
CutMix: Regularization Strategy to Train Strong Classifiers (Yun et al., ICCV 2019),
https://arxiv.org/abs/1905.04899.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
import torch.nn.functional as F

from limner.core.batch import Batch
from limner.core.image_class import ClassShares, ImageClass


@dataclass(frozen=True)
class Mixing:
    """Mix each image of a batch with another one, and their classes alike.

    Attributes:
        mixup: Alpha of the beta distribution of the shares of Mixup, which blends images; 0 never does.
        cutmix: Alpha of that of CutMix, which pastes a rectangle of the other image. If both are positive, a
            batch is mixed in one of the two ways, with equal probability.
        num_classes: K.
    """

    mixup: float
    cutmix: float
    num_classes: int

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """Return the mixed batch, with `ClassShares` as targets."""
        others = torch.from_numpy(rng.permutation(len(batch.names)))
        is_blended = bool(self.mixup) and (not self.cutmix or rng.random() < 0.5)
        alpha = self.mixup if is_blended else self.cutmix
        share = float(rng.beta(alpha, alpha))
        if is_blended:
            images = _blended(batch.images, others, share)
        else:
            images, share = _pasted(batch.images, others, share, rng)
        shares = _shares(batch, self.num_classes)
        mixed = share * shares + (1 - share) * shares[others]
        return replace(batch, images=images, targets={ClassShares: mixed})


def _blended(images: torch.Tensor, others: torch.Tensor, share: float) -> torch.Tensor:
    """Return the weighted mean of the images and their partners, in their own type."""
    mixed = images.float() * share + images[others].float() * (1 - share)
    return mixed if images.is_floating_point() else mixed.round().to(images.dtype)


def _pasted(
    images: torch.Tensor, others: torch.Tensor, share: float, rng: np.random.Generator
) -> tuple[torch.Tensor, float]:
    """Paste a box of each partner, and return the share of the pixels that stay."""
    shape = images.shape[2:]
    sides = [round(side * (1 - share) ** (1 / len(shape))) for side in shape]
    middles = [int(rng.integers(side)) for side in shape]
    window = tuple(
        slice(max(middle - side // 2, 0), min(middle - side // 2 + side, length))
        for middle, side, length in zip(middles, sides, shape, strict=True)
    )
    box = (slice(None), slice(None), *window)
    mixed = images.clone()
    mixed[box] = images[others][box]
    pasted = prod(part.stop - part.start for part in window)
    return mixed, 1 - pasted / prod(shape)


def _shares(batch: Batch, num_classes: int) -> torch.Tensor:
    """Return (B, K) float32."""
    shares, classes = batch.get(ClassShares), batch.get(ImageClass)
    if shares is not None:
        return shares
    assert classes is not None, "only images with classes can be mixed"
    return F.one_hot(classes, num_classes).float()
