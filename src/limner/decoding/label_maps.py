"""From the scores of a network to labels or probabilities at any size.

The scores of a large image with many classes do not fit in memory at full resolution, so they are resized and
reduced a few rows at a time.

Shape legend: B batch, K classes, Q queries, *s network resolution, *S wanted resolution.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from limner.core.labels import LabelArray, label_dtype
from limner.core.outputs import DenseLogits, Outputs, PixelOutputs, resize_logits
from limner.decoding.network_runs import ImageView, NetworkRuns
from limner.decoding.resizing import resized_in_chunks

_LEAST = 1e-12
"""Added to the class scores from queries, so that pixels in no mask get a class too."""


def predict_label_map(
    runs: NetworkRuns, *, num_classes: int, probabilities: bool = False
) -> tuple[LabelArray, npt.NDArray[np.float32] | None]:
    """Return the class of each pixel of one image, averaged over its views.

    Args:
        runs: The image.
        num_classes: K.
        probabilities: Whether to return those of each class too.

    Returns:
        (*S) the classes as in a `LabelMap`, and (K, *S) float32 or None.
    """
    size = runs.size
    if runs.fits_in_one_pass and not probabilities:
        (view,) = runs.views()
        labels = torch.empty(size, dtype=_dtype(num_classes))
        for band, outputs in view.bands():
            rows = band if tuple(view.shape[2:]) == size else slice(0, size[0])  # a resized image is one band
            extent = (rows.stop - rows.start, *size[1:])
            labels[rows] = semantic_labels(as_pixel_outputs(outputs), extent)[0].cpu()
        return labels.numpy().astype(label_dtype(num_classes), copy=False), None
    mean = _mean_probabilities(runs, num_classes).numpy()
    return mean.argmax(0).astype(label_dtype(num_classes)), mean if probabilities else None


def _mean_probabilities(runs: NetworkRuns, num_classes: int) -> torch.Tensor:
    """Average the probabilities (K, *S) over the views."""
    total, num_views = torch.zeros((num_classes, *runs.size)), 0
    for view in runs.views():
        scores = torch.cat([_band_logits(outputs, rows, view) for rows, outputs in view.bands()], 2)
        outputs = DenseLogits(view.undo_flip(scores))
        total += semantic_probabilities(outputs, runs.size)[0].cpu()
        num_views += 1
    return total / num_views


def _band_logits(outputs: Outputs, rows: slice, view: ImageView) -> torch.Tensor:
    """Return a band's logits (B, K, ...) as they are; those of queries at the size of the view."""
    if isinstance(outputs, DenseLogits):
        return outputs.logits.float()
    return semantic_logits(as_pixel_outputs(outputs), (rows.stop - rows.start, *view.shape[3:]))


def as_pixel_outputs(outputs: Outputs) -> PixelOutputs:
    """Return outputs that tell the class of each pixel, as planning has made sure they do."""
    assert isinstance(outputs, PixelOutputs), f"no classes of pixels: {type(outputs).__name__}"
    return outputs


def semantic_labels(outputs: PixelOutputs, size: Sequence[int]) -> torch.Tensor:
    """Return the most probable class of each pixel; equal to the argmax of the probabilities, but faster.

    Args:
        outputs: Logits (B, K, *s), or queries, whose masks are weighted by their class probabilities.
        size: *S.

    Returns:
        (B, *S) 0..K-1, uint8 or, of more than 255 classes, int32.
    """
    return torch.cat([_argmax(scores) for scores in _scores_in_chunks(outputs, size)], 1)


def semantic_probabilities(outputs: PixelOutputs, size: Sequence[int]) -> torch.Tensor:
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


def semantic_logits(outputs: PixelOutputs, size: Sequence[int]) -> torch.Tensor:
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


def _scores_in_chunks(outputs: PixelOutputs, size: Sequence[int]) -> Iterator[torch.Tensor]:
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


def _normalized(outputs: PixelOutputs, scores: torch.Tensor) -> torch.Tensor:
    if isinstance(outputs, DenseLogits):
        return scores.softmax(1)
    scores = scores + _LEAST
    return scores / scores.sum(1, keepdim=True)


def _argmax(scores: torch.Tensor) -> torch.Tensor:
    """Map (B, K, *S) to the argmax (B, *S); ties go to the first class, as in torch.argmax.

    Loops over the classes because torch.argmax over a strided axis is 2 to 4 times slower on a CPU.
    """
    dtype = _dtype(scores.shape[1])
    if scores.is_cuda:
        return scores.argmax(1).to(dtype)
    best = scores[:, 0].clone()
    labels = torch.zeros(best.shape, dtype=dtype, device=scores.device)
    for index in range(1, scores.shape[1]):
        labels.masked_fill_(scores[:, index] > best, index)
        torch.maximum(best, scores[:, index], out=best)
    return labels


def _dtype(num_classes: int) -> torch.dtype:
    """Return the type in which a network's labels are kept: PyTorch can do little with uint16."""
    return torch.uint8 if label_dtype(num_classes) == np.uint8 else torch.int32
