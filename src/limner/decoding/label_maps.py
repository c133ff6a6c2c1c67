"""From the scores of a network to labels or probabilities at any size.

The scores of a large image with many classes do not fit in memory at full resolution, so they are resized and
reduced a few rows at a time.

Shape legend: B batch, K classes, Q queries, *s network resolution, *S wanted resolution.
"""

from collections.abc import Iterator, Sequence

import torch

from limner.core.outputs import DenseLogits, QueryMasks, resize_logits
from limner.decoding.resizing import resized_in_chunks

_LEAST = 1e-12
"""Added to the class scores from queries, so that pixels in no mask get a class too."""


def semantic_labels(outputs: DenseLogits | QueryMasks, size: Sequence[int]) -> torch.Tensor:
    """Return the most probable class of each pixel; equal to the argmax of the probabilities, but faster.

    Args:
        outputs: Logits (B, K, *s), or queries, whose masks are weighted by their class probabilities.
        size: *S.

    Returns:
        (B, *S) uint8, 0..K-1.
    """
    return torch.cat([_argmax(scores) for scores in _scores_in_chunks(outputs, size)], 1)


def semantic_probabilities(outputs: DenseLogits | QueryMasks, size: Sequence[int]) -> torch.Tensor:
    """Return the probability of each class at each pixel.

    Args:
        outputs: Logits (B, K, *s), or queries, whose masks are weighted by their class probabilities.
        size: *S.

    Returns:
        (B, K, *S) float32 that sums to 1 over K.
    """
    probabilities: torch.Tensor | None = None
    start = 0
    for scores in _scores_in_chunks(outputs, size):
        if probabilities is None:
            probabilities = scores.new_empty((*scores.shape[:2], *size))
        end = start + scores.shape[2]
        probabilities[:, :, start:end] = _normalized(outputs, scores)
        start = end
    assert probabilities is not None
    return probabilities


def semantic_logits(outputs: DenseLogits | QueryMasks, size: Sequence[int]) -> torch.Tensor:
    """Return logits whose softmax gives the probabilities, for blending several windows.

    Args:
        outputs: Logits (B, K, *s), or queries, whose masks are weighted by their class probabilities.
        size: *S.

    Returns:
        (B, K, *S) float32.
    """
    if isinstance(outputs, DenseLogits):
        return resize_logits(outputs.logits.float(), size)
    return semantic_probabilities(outputs, size).log_()


def _scores_in_chunks(outputs: DenseLogits | QueryMasks, size: Sequence[int]) -> Iterator[torch.Tensor]:
    """Yield the float32 scores (B, K, rows, ...) at size *S from the first row to the last.

    Each query adds its class probability times its mask probability, as in Mask2Former's semantic inference
    (Cheng et al., CVPR 2022).
    """
    if isinstance(outputs, DenseLogits):
        for _, scores in resized_in_chunks(outputs.logits, size):
            yield scores
        return
    classes = outputs.class_logits.float().softmax(-1)[..., :-1].transpose(1, 2)  # (B, K, Q)
    for _, masks in resized_in_chunks(outputs.mask_logits, size):
        votes = torch.bmm(classes, masks.sigmoid().flatten(2))
        yield votes.view(*classes.shape[:2], *masks.shape[2:])


def _normalized(outputs: DenseLogits | QueryMasks, scores: torch.Tensor) -> torch.Tensor:
    if isinstance(outputs, DenseLogits):
        return scores.softmax(1)
    scores = scores + _LEAST
    return scores / scores.sum(1, keepdim=True)


def _argmax(scores: torch.Tensor) -> torch.Tensor:
    """Map (B, K, *S) to the argmax (B, *S) uint8; ties go to the first class, as in torch.argmax.

    Loops over the classes because torch.argmax over a strided axis is 2 to 4 times slower on a CPU.
    """
    if scores.is_cuda:
        return scores.argmax(1).to(torch.uint8)
    best = scores[:, 0].clone()
    labels = torch.zeros(best.shape, dtype=torch.uint8, device=scores.device)
    for index in range(1, scores.shape[1]):
        labels.masked_fill_(scores[:, index] > best, index)
        torch.maximum(best, scores[:, index], out=best)
    return labels
