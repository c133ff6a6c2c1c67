"""Soft overlap of predicted and true classes, from which Dice and Tversky are computed.

Shape legend: B batch, K classes, *S spatial axes, N pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from limner.core.labels import ignored_among


@dataclass(frozen=True)
class Overlap:
    """Soft counts of each class over the pixels that are not ignored.

    Attributes:
        both: (R, K) sum of a class's probabilities over its true pixels (soft true positives).
        predicted: (R, K) sum of a class's probabilities over all pixels.
        true: (R, K) number of the class's true pixels.
        R is B if counted per image, 1 if pooled over the batch.
    """

    both: Tensor
    predicted: Tensor
    true: Tensor


def soft_overlap(logits: Tensor, target: Tensor, *, per_image: bool) -> Overlap:
    """Count the overlap of softmax probabilities with labels, in float32.

    The probability of the true class is gathered and summed by class, without a one-hot map of K
    channels.

    Args:
        logits: (B, K, *S) before softmax.
        target: (B, *S) integer labels, or what is `ignored_among` K classes.
        per_image: Count each image separately instead of the whole batch.
    """
    probabilities = logits.float().softmax(dim=1).flatten(2)  # (B, K, N)
    num_classes = probabilities.shape[1]
    labels = target.flatten(1).long()  # (B, N)
    valid = labels != ignored_among(num_classes)
    index = labels.where(valid, 0)
    of_true_class = probabilities.gather(1, index.unsqueeze(1)).squeeze(1) * valid
    both = _sum_by_class(of_true_class, index, num_classes)
    true = _sum_by_class(valid.to(both.dtype), index, num_classes)
    # An accelerator would have to be waited for before this could be known.
    if logits.device.type == "cpu" and bool(valid.all()):
        predicted = probabilities.sum(dim=2)
    else:
        predicted = torch.einsum("bkn,bn->bk", probabilities, valid.to(probabilities.dtype))
    if per_image:
        return Overlap(both, predicted, true)
    return Overlap(both.sum(0, keepdim=True), predicted.sum(0, keepdim=True), true.sum(0, keepdim=True))


def _sum_by_class(values: Tensor, index: Tensor, num_classes: int) -> Tensor:
    """Sum (B, N) values into (B, K) by their class."""
    return values.new_zeros(len(values), num_classes).scatter_add(1, index, values)
