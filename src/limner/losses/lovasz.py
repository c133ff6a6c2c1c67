"""Lovasz-softmax loss (Berman et al., CVPR 2018): a convex surrogate of the IoU."""

import torch
from torch import Tensor, nn

from limner.core.labels import ignored_among

MOST_CLASSES = 32
"""Number of classes up to which an accelerator sorts the pixels of absent ones, too, so that the host need
not wait to know which they are. With more, that would take longer and more memory than waiting; a choice, not
measured."""


class LovaszLoss(nn.Module):
    """Mean over the classes present of the Lovasz extension of ``1 - IoU``.

    It sorts all pixels once per class, so it is slower than the others; best combined with cross-entropy.
    """

    def __init__(self, *, per_image: bool = False) -> None:
        """Build the loss.

        Args:
            per_image: Average the losses of the images instead of pooling over the batch.
        """
        super().__init__()
        self.per_image = per_image

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss in [0, 1]; 0 where every pixel is ignored.

        Args:
            logits: (B, K, *S) before softmax.
            target: (B, *S) integer labels, or what is `ignored_among` K classes.
        """
        probabilities = logits.float().softmax(dim=1).flatten(2)  # (B, K, N)
        labels = target.flatten(1)  # (B, N)
        if self.per_image:
            losses = [_of_pixels(p, t) for p, t in zip(probabilities, labels, strict=True)]
            return torch.stack(losses).mean()
        return _of_pixels(probabilities.transpose(0, 1).flatten(1), labels.flatten())


def _of_pixels(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of (K, N) probabilities against (N,) labels."""
    valid = labels != ignored_among(len(probabilities))
    if labels.device.type != "cpu" and len(probabilities) <= MOST_CLASSES:
        return _without_waiting(probabilities, labels, valid)
    probabilities, labels = probabilities[:, valid], labels[valid]
    losses = []
    for index in labels.bincount().nonzero().flatten().tolist():
        is_class = (labels == index).to(probabilities.dtype)
        losses.append(_of_class(is_class, (is_class - probabilities[index]).abs()))
    return torch.stack(losses).mean() if losses else probabilities.sum() * 0.0


def _without_waiting(probabilities: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Return the same where ignored pixels and absent classes are masked instead of dropped."""
    losses, are_present = [], []
    for index, of_class in enumerate(probabilities):
        is_class = (labels == index).to(of_class.dtype)
        are_present.append(is_class.any())
        # Without errors, ignored pixels come last, where they count as nothing.
        losses.append(_of_class(is_class, (is_class - of_class).abs().where(valid, 0)))
    present = torch.stack(are_present)
    return (torch.stack(losses) * present).sum() / present.sum().clamp(min=1)


def _of_class(is_class: Tensor, errors: Tensor) -> Tensor:
    """Return the loss of a class, given (N,) whether a pixel is of it, and the errors of its probability."""
    errors, order = errors.sort(descending=True)
    return errors @ _jaccard_steps(is_class[order])


def _jaccard_steps(is_class: Tensor) -> Tensor:
    """Return the increase of ``1 - IoU`` with each additional wrong pixel, worst first; (N,) to (N,)."""
    total = is_class.sum()
    intersection = total - is_class.cumsum(0)
    union = total + (1 - is_class).cumsum(0)
    jaccard = 1 - intersection / union
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1))
