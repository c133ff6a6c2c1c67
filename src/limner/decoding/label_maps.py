"""From the scores of a network to labels or probabilities at any size.

The scores of a large image with many classes do not fit in memory at full resolution, so they are resized and
reduced a few rows at a time.

Shape legend: B batch, K classes, Q queries, *s network resolution, *S wanted resolution.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from limner.core.labels import LabelArray, label_dtype
from limner.core.outputs import DenseLogits, Outputs, PixelOutputs, resize_logits
from limner.decoding.network_runs import Box, ImageView, NetworkRuns
from limner.decoding.probability_maps import Probabilities, empty_probabilities, most_probable
from limner.decoding.resizing import resized_bands, resized_in_chunks
from limner.decoding.view_parts import bands, extent_of, full_box, joined

_LEAST = 1e-12
"""Added to the class scores from queries, so that pixels in no mask get a class too."""


def predict_label_map(
    runs: NetworkRuns, *, num_classes: int, probabilities: bool = False
) -> tuple[LabelArray, Probabilities | None]:
    """Return the class of each pixel of one image, averaged over its views.

    With one view, the scores of the whole image are never held: parts become labels as they are finished.

    Args:
        runs: The image.
        num_classes: K.
        probabilities: Whether to return those of each class too.

    Returns:
        (*S) the classes as in a `LabelMap`, and (K, *S) as of `empty_probabilities`, or None.

    Raises:
        WriteError: Probabilities do not fit in memory, nor in the folder for temporary files.
    """
    if not runs.has_one_view:
        mean = _mean_probabilities(runs, num_classes)
        return most_probable(mean), mean if probabilities else None
    (view,) = runs.views()
    labels = torch.empty(runs.size, dtype=_dtype(num_classes))
    found = empty_probabilities(num_classes, runs.size) if probabilities else None
    for box, outputs, scores in _scores_of_view(view, runs.size):
        labels[box] = _argmax(scores)[0].cpu()
        if found is not None:
            place = (slice(None), *box)
            found[place] = _normalized(outputs, scores)[0].cpu().numpy()
    return labels.numpy().astype(label_dtype(num_classes), copy=False), found


def _mean_probabilities(runs: NetworkRuns, num_classes: int) -> Probabilities:
    """Average the probabilities (K, *S) over the views."""
    total, num_views = empty_probabilities(num_classes, runs.size), 0
    for view in runs.views():
        for box, outputs, scores in _scores_of_view(view, runs.size):
            place = (slice(None), *box)
            chances = _normalized(outputs, scores)[0].cpu().numpy()
            total[place] = total[place] + chances if num_views else chances
        num_views += 1
    total /= num_views
    return total


def view_logits(view: ImageView, size: Sequence[int]) -> torch.Tensor:
    """Return the logits (B, K, *S) of a view at size *S, mirrored back."""
    return resize_logits(view.undo_flip(joined(view, _part_logits)), size)


def _scores_of_view(
    view: ImageView, size: tuple[int, ...]
) -> Iterator[tuple[Box, PixelOutputs, torch.Tensor]]:
    """Yield parts of an image of size *S, outputs of their kind, and their float32 scores (1, K, *box)."""
    if view.flipped:
        yield from _scores_in_box(DenseLogits(view.undo_flip(joined(view, _part_logits))), full_box(size))
        return
    seen, parts = tuple(view.shape[2:]), view.parts()
    box, outputs = next(parts)
    if extent_of(box) == seen:
        yield from _scores_in_box(as_pixel_outputs(outputs), full_box(size))
        return
    parts = itertools.chain([(box, outputs)], parts)
    if seen == size:
        for box, outputs in parts:
            yield from _scores_in_box(as_pixel_outputs(outputs), box)
        return
    # In the view's order of axes, its own first.
    axis = view.axis
    joined_parts = bands(((box, _part_logits(o, extent_of(box))) for box, o in parts), seen, axis)
    others = (*size[:axis], *size[axis + 1 :])
    for rows, scores in resized_bands(joined_parts, seen[axis], (size[axis], *others)):
        back = scores.movedim(2, axis + 2)
        yield (*full_box(size[:axis]), rows, *full_box(size[axis + 1 :])), DenseLogits(back), back


def _scores_in_box(outputs: PixelOutputs, box: Box) -> Iterator[tuple[Box, PixelOutputs, torch.Tensor]]:
    """Yield outputs that stand for a box of an image, a few rows at a time, as `_scores_of_view`."""
    first, *others = box
    for rows, scores in _scores_in_chunks(outputs, extent_of(box)):
        yield (slice(first.start + rows.start, first.start + rows.stop), *others), outputs, scores


def _part_logits(outputs: Outputs, extent: tuple[int, ...]) -> torch.Tensor:
    """Return logits (B, K, ...) as they are; those of queries at the size of their part."""
    if isinstance(outputs, DenseLogits):
        return outputs.logits.float()
    return semantic_logits(as_pixel_outputs(outputs), extent)


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
    return torch.cat([_argmax(scores) for _, scores in _scores_in_chunks(outputs, size)], 1)


def semantic_probabilities(outputs: PixelOutputs, size: Sequence[int]) -> torch.Tensor:
    """Return the probability of each class at each pixel.

    Args:
        outputs: Logits (B, K, *s), or queries, whose masks are weighted by their class probabilities.
        size: *S.

    Returns:
        (B, K, *S) float32 that sums to 1 over K.
    """
    probabilities: torch.Tensor | None = None
    for rows, scores in _scores_in_chunks(outputs, size):
        if probabilities is None:
            probabilities = scores.new_empty((*scores.shape[:2], *size))
        probabilities[:, :, rows] = _normalized(outputs, scores)
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


def _scores_in_chunks(outputs: PixelOutputs, size: Sequence[int]) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield slices of the first axis, and the float32 scores (B, K, rows, ...) at size *S there.

    Each query adds its class probability times its mask probability, as in Mask2Former's semantic inference
    (Cheng et al., CVPR 2022).
    """
    if isinstance(outputs, DenseLogits):
        yield from resized_in_chunks(outputs.logits, size)
        return
    classes = outputs.class_logits.float().softmax(-1)[..., :-1].transpose(1, 2)  # (B, K, Q)
    for rows, masks in resized_in_chunks(outputs.mask_logits, size):
        votes = torch.bmm(classes, masks.sigmoid().flatten(2))
        yield rows, votes.view(*classes.shape[:2], *masks.shape[2:])


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
    if scores.device.type != "cpu":
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
