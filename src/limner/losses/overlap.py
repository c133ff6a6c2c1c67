"""How much the predicted probability of each class overlaps with its truth; Dice and Tversky stand on it.

Shape legend: B batch, K classes, *S spatial axes, N pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from limner.core.labels import IGNORE_INDEX


@dataclass(frozen=True)
class Overlap:
    """Soft counts of each class, over the pixels that are not ignored.

    Attributes:
        both: (R, K) probability mass of a class on its own pixels (soft true positives).
        predicted: (R, K) probability mass of a class everywhere.
        true: (R, K) number of its pixels.
        R is B when counted by image, 1 when pooled over the batch.
    """

    both: Tensor
    predicted: Tensor
    true: Tensor


def soft_overlap(logits: Tensor, target: Tensor, *, per_image: bool) -> Overlap:
    """Count the overlap of softmax probabilities with labels, in float32.

    The probability of the true class is gathered and summed by class, so that no one-hot map of K
    channels is ever made.

    Args:
        logits: (B, K, *S) before softmax.
        target: (B, *S) integer labels with `IGNORE_INDEX`.
        per_image: Count each image by itself rather than the batch as one.
    """
    probabilities = logits.float().softmax(dim=1).flatten(2)  # (B, K, N)
    num_classes = probabilities.shape[1]
    labels = target.flatten(1).long()  # (B, N)
    valid = labels != IGNORE_INDEX
    index = labels.where(valid, 0)
    of_true_class = probabilities.gather(1, index.unsqueeze(1)).squeeze(1) * valid
    both = _sum_by_class(of_true_class, index, num_classes)
    true = _sum_by_class(valid.to(both.dtype), index, num_classes)
    if bool(valid.all()):
        predicted = probabilities.sum(dim=2)
    else:
        predicted = torch.einsum("bkn,bn->bk", probabilities, valid.to(probabilities.dtype))
    if per_image:
        return Overlap(both, predicted, true)
    return Overlap(both.sum(0, keepdim=True), predicted.sum(0, keepdim=True), true.sum(0, keepdim=True))


def _sum_by_class(values: Tensor, index: Tensor, num_classes: int) -> Tensor:
    """Sum (B, N) values into (B, K) by their class."""
    return values.new_zeros(len(values), num_classes).scatter_add(1, index, values)
