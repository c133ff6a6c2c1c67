"""Loss of class, centre and offset at each pixel.

Paper: Panoptic-DeepLab (Cheng et al., CVPR 2020), https://arxiv.org/abs/1911.10194, equation 1; its settings
are the defaults. Authors' code: https://github.com/bowenc0221/panoptic-deeplab (Apache-2.0 licence).

What differs, and why: `share_of_diameter` narrows the Gaussians of small objects, whose peaks would otherwise
merge into one where they touch; and the hardest pixels are a fraction of the labelled ones, so that ignored
regions do not make the rest easier.

Shape legend: B batch, K classes, D number of spatial axes, *s spatial axes of the outputs, *S of the targets.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.core.errors import ConfigError
from limner.core.labels import ignored_among
from limner.core.outputs import CentreOffsets
from limner.core.segments import SegmentTargets
from limner.losses.centre_targets import CentreTargets, draw_centre_targets
from limner.losses.dice import DiceLoss
from limner.losses.masked_mean import mean_where

IGNORED = -1
"""Label of ignored pixels in `CentreTargets`."""


class CentreOffsetLoss(nn.Module):
    """Cross-entropy of the hardest pixels, squared error of the centres, absolute error of the offsets.

    Raises:
        ConfigError: A setting is out of range.
    """

    def __init__(
        self,
        *,
        class_weight: float = 1.0,
        dice_weight: float = 0.0,
        centre_weight: float = 200.0,
        offset_weight: float = 0.01,
        hard_fraction: float = 0.2,
        small_area: float = 4096.0,
        small_weight: float = 3.0,
        sigma: float = 8.0,
        share_of_diameter: float | None = None,
    ) -> None:
        """Build the loss.

        Args:
            class_weight: Factor of the class term.
            dice_weight: Factor of the Dice loss of the classes, which the paper does not have.
            centre_weight: Factor of the centre term.
            offset_weight: Factor of the offset term, whose errors are in pixels.
            hard_fraction: Fraction of pixels with the highest cross-entropy that count, in (0, 1].
            small_area: Objects with a smaller area in pixels are small.
            small_weight: Weight of the cross-entropy of their pixels, against 1.
            sigma: Standard deviation of the Gaussian around a centre, in pixels.
            share_of_diameter: A narrower one for small objects: this part of their diameter.
        """
        super().__init__()
        at_least_zero = {
            "class_weight": class_weight,
            "dice_weight": dice_weight,
            "centre_weight": centre_weight,
            "offset_weight": offset_weight,
            "small_area": small_area,
            "small_weight": small_weight,
        }
        for name, value in at_least_zero.items():
            if not value >= 0:
                raise ConfigError(f"centre_offset: {name} must be 0 or more; found {value}.")
        if not 0 < hard_fraction <= 1:
            raise ConfigError(f"centre_offset: hard_fraction must be in (0, 1]; found {hard_fraction}.")
        for name, length in {"sigma": sigma, "share_of_diameter": share_of_diameter}.items():
            if length is not None and not length > 0:
                raise ConfigError(f"centre_offset: {name} must be above 0; found {length}.")
        self.class_weight = class_weight
        self.dice_weight = dice_weight
        self.dice = DiceLoss()
        self.centre_weight = centre_weight
        self.offset_weight = offset_weight
        self.hard_fraction = hard_fraction
        self.small_area = small_area
        self.small_weight = small_weight
        self.sigma = sigma
        self.share_of_diameter = share_of_diameter

    def forward(
        self, outputs: CentreOffsets, segments: Sequence[SegmentTargets], is_thing: Tensor
    ) -> dict[str, Tensor]:
        """Return the weighted terms, whose sum is the loss: ``class``, ``centre``, ``offset`` and ``dice``.

        Args:
            outputs: Of B images, at any resolution; compared at that of the targets.
            segments: B targets of the same size *S on the same device.
            is_thing: (K,) bool: whether a class is countable; others have neither centres nor offsets.
        """
        targets = draw_centre_targets(
            segments, is_thing, sigma=self.sigma, share_of_diameter=self.share_of_diameter
        )
        found = outputs.resized(targets.labels.shape[1:])
        known = targets.labels != IGNORED
        error = (found.centres.float() - targets.centres).square().squeeze(1)
        parts = {
            "class": self.class_weight * self._class_loss(found.class_logits, targets),
            "centre": self.centre_weight * mean_where(error, known),
            "offset": self.offset_weight * _offset_loss(found.offsets, targets),
        }
        if self.dice_weight:
            labels = targets.labels.where(known, ignored_among(found.class_logits.shape[1]))
            parts["dice"] = self.dice_weight * self.dice(found.class_logits, labels)
        return parts

    def _class_loss(self, logits: Tensor, targets: CentreTargets) -> Tensor:
        """Return the mean cross-entropy of the hardest pixels."""
        of_pixel = F.cross_entropy(
            logits.float().contiguous(), targets.labels, ignore_index=IGNORED, reduction="none"
        )
        if self.small_weight != 1:
            of_pixel = of_pixel * torch.where(targets.areas < self.small_area, self.small_weight, 1.0)
        known = targets.labels != IGNORED
        if self.hard_fraction == 1:
            return mean_where(of_pixel, known)
        count = max(1, int(self.hard_fraction * int(known.sum())))
        return of_pixel.flatten().topk(count, sorted=False).values.mean()


def _offset_loss(offsets: Tensor, targets: CentreTargets) -> Tensor:
    """Return the mean over pixels of objects of the absolute error, summed over the axes."""
    error = (offsets.float() - targets.offsets).abs().sum(1)
    return mean_where(error, targets.areas.isfinite())
