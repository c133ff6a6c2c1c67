"""Noisy copies of true boxes, which queries learn to restore: contrastive denoising.

Paper: DINO: DETR with Improved DeNoising Anchor Boxes (Zhang et al., ICLR 2023),
https://arxiv.org/abs/2203.03605, section 3.3, with the numbers of RT-DETR.

Shape legend: B batch, N largest number of true boxes in an image, G groups, D = 2 N G noisy boxes, Q queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from limner.core.box_geometry import as_middles
from limner.core.boxes import BoxTargets
from limner.core.outputs import NOTHING


@dataclass(frozen=True)
class Noise:
    """How true boxes are changed.

    Attributes:
        queries: About how many noisy boxes with little noise an image gets; there are as many with more.
        labels: Fraction of the boxes whose class may be replaced by a random one, twice the real fraction.
        boxes: Largest move of a side, in halves of the box's size; boxes with more noise move once more.
    """

    queries: int = 100
    labels: float = 0.5
    boxes: float = 1.0


@dataclass(frozen=True)
class NoisyBoxes:
    """Copies of true boxes in groups; a group has each box with little noise, then each with more.

    Attributes:
        labels: (B, D) int64 classes; the number of classes where an image has fewer boxes than others.
        boxes: (B, D, 4) middle x and y, width and height, as fractions of the image.
        truth: (B, D) int64: the number of the true box to restore among those that are not ignored;
            `NOTHING` for boxes with more noise, which are to be recognised as such.
        groups: G.
    """

    labels: Tensor
    boxes: Tensor
    truth: Tensor
    groups: int

    def visible(self, queries: int) -> Tensor:
        """Return which queries see which in self-attention: (1, D + Q, D + Q) bool.

        No group sees another one, and the Q usual queries see none of them, as they show the truth.
        """
        group_size = self.labels.shape[1] // self.groups
        group = torch.arange(self.labels.shape[1], device=self.labels.device) // group_size
        group = torch.cat((group, group.new_full((queries,), -1)))
        seen = (group[:, None] == group[None]) | (group[None] < 0)
        return seen[None]


def noisy_boxes(
    targets: Sequence[BoxTargets], size: tuple[int, int], noise: Noise, *, num_classes: int
) -> NoisyBoxes | None:
    """Return noisy copies of the boxes that are not ignored; None if no image has any.

    Args:
        targets: B targets in pixels.
        size: Height and width of the images.
        noise: How they are changed, by PyTorch's global generator of their device.
        num_classes: Number of classes.
    """
    kept = [each.counted() for each in targets]
    most = max(len(labels) for _, labels in kept)
    if most == 0:
        return None
    groups = max(noise.queries // most, 1)
    height, width = size
    corners = torch.stack([_padded(xyxy, most, 0.0) for xyxy, _ in kept])
    sides = torch.tensor([width, height] * 2, dtype=corners.dtype)
    corners = corners / sides.to(corners.device, non_blocking=True)
    labels = torch.stack([_padded(labels, most, num_classes) for _, labels in kept])
    is_true = labels < num_classes
    has_more = torch.arange(2 * most, device=labels.device) >= most
    number = torch.arange(2 * most, device=labels.device) % most
    truth = torch.where(is_true.repeat(1, 2) & ~has_more, number, NOTHING)
    return NoisyBoxes(
        _other_labels(labels.repeat(1, 2 * groups), noise.labels / 2, num_classes),
        _moved(corners.repeat(1, 2 * groups, 1), noise.boxes, has_more.repeat(groups)),
        truth.repeat(1, groups),
        groups,
    )


def _padded(values: Tensor, length: int, filler: float) -> Tensor:
    """Return values (n, ...) followed by a filler up to `length`."""
    rest = values.new_full((length - len(values), *values.shape[1:]), filler)
    return torch.cat((values, rest))


def _other_labels(labels: Tensor, share: float, num_classes: int) -> Tensor:
    """Replace a share of the true labels (B, D) by random ones."""
    is_other = (torch.rand(labels.shape, device=labels.device) < share) & (labels < num_classes)
    return torch.where(is_other, torch.randint_like(labels, num_classes), labels)


def _moved(corners: Tensor, scale: float, has_more: Tensor) -> Tensor:
    """Move each side of boxes (B, D, 4) by up to half the size, those with more noise (D,) by half to all."""
    halves = (corners[..., 2:] - corners[..., :2]).repeat(1, 1, 2) / 2
    sign = torch.randint_like(corners, 2) * 2 - 1
    amount = torch.rand_like(corners) + has_more[:, None]
    return as_middles((corners + sign * amount * halves * scale).clamp(0, 1))
