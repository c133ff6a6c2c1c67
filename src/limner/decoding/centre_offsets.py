"""Decoding of class, centre and offset at each pixel to the objects or segments of one image.

Paper: Panoptic-DeepLab (Cheng et al., CVPR 2020), https://arxiv.org/abs/1911.10194, section 3.2: centres are
the peaks of the heatmap; each pixel of a countable class belongs to the centre nearest to where its offset
points; an object has the class of most of its pixels, and its score is the mean probability of that class
times the height of its peak.

What differs, and why: up to `MOST_CENTRES` objects instead of 200, since images of cells have more; stuff is
dropped below a fraction of the image instead of a number of pixels, since images have any size; and panoptic
segments need a higher peak (`SURE_CENTRE`) than objects with a score.

Shape legend: B batch, K classes, D number of spatial axes, M centres, *s network resolution, *S the image's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from limner.core.outputs import CentreOffsets, Outputs, resize_logits, resize_offsets
from limner.core.prediction import PanopticPrediction, SegmentPrediction
from limner.decoding.network_runs import ImageView, NetworkRuns
from limner.decoding.resizing import resized_in_chunks

CENTRE_THRESHOLD, NEIGHBOURHOOD, MOST_CENTRES = 0.1, 7, 1000
"""Minimum height of a peak; side of the square in which it is the highest, in pixels; maximum number of
peaks. The first two are the paper's."""

SURE_CENTRE = 0.3
"""Minimum height of the peak of a panoptic segment. The paper has `CENTRE_THRESHOLD` there too, after days of
training; after minutes, heatmaps have false peaks of 0.1 to 0.2, which split large objects. Measured on four
images that a narrow network overfits in 200 steps: a PQ of 0.743 with 0.1, of 0.914 with 0.3, and of 0.922
with 0.5. Of objects, the score puts false ones last."""

LEAST_STUFF = 0.001
"""Minimum fraction of the image that a class of stuff covers: as the paper's 2048 pixels on Cityscapes."""

_DISTANCES_AT_ONCE = 2**22
"""Distances of pixels from centres in memory at once: 16 MiB."""


def mean_of_views(runs: NetworkRuns) -> CentreOffsets:
    """Run the network on an image in all its windows and views, and average the maps.

    Returns:
        Of one image: at the network's resolution if there is one plain view, else at the image's.
    """
    if runs.fits_in_one_pass:
        (view,) = runs.views()
        return _maps_of(view)
    total: Tensor | None = None
    num_views = 0
    for view in runs.views():
        maps = _maps_of(view).mirrored(view.flipped).resized(runs.size)
        seen = CentreOffsets(maps.class_logits.softmax(1), maps.centres, maps.offsets).stacked()
        total = seen if total is None else total + seen
        num_views += 1
    assert total is not None
    mean = CentreOffsets.unstacked(total / num_views)
    return CentreOffsets(mean.class_logits.log(), mean.centres, mean.offsets)


def _maps_of(view: ImageView) -> CentreOffsets:
    """Return the maps of one view, its bands joined."""
    bands = [as_centre_offsets(outputs) for _, outputs in view.bands()]
    return CentreOffsets.unstacked(torch.cat([band.stacked().float() for band in bands], 2))


def as_centre_offsets(outputs: Outputs) -> CentreOffsets:
    """Return outputs of class, centre and offset, as planning has made sure they are."""
    assert isinstance(outputs, CentreOffsets), f"no centres and offsets: {type(outputs).__name__}"
    return outputs


def find_centred_objects(
    outputs: CentreOffsets, size: Sequence[int], *, is_thing: Sequence[bool], name: str
) -> SegmentPrediction:
    """Return the objects of one image, highest score first; no two share a pixel.

    Args:
        outputs: Network outputs of one image.
        size: *S, the image's size.
        is_thing: Whether each of the K classes is countable.
        name: Name of the image.
    """
    grouped = group_pixels(outputs, size, is_thing=is_thing)
    order = grouped.scores.argsort(descending=True, stable=True)
    order = order[grouped.scores[order] > 0]
    numbers = grouped.numbers.cpu().numpy()
    masks = np.zeros((len(order), *numbers.shape), bool)
    for place, index in enumerate(order.tolist()):
        np.equal(numbers, index + 1, out=masks[place])
    return SegmentPrediction(
        name, masks, grouped.labels[order].cpu().numpy(), grouped.scores[order].float().cpu().numpy()
    )


def find_centred_segments(
    outputs: CentreOffsets, size: Sequence[int], *, is_thing: Sequence[bool], name: str
) -> PanopticPrediction:
    """Return the objects and stuff of one image, each pixel in at most one.

    Args:
        outputs: Network outputs of one image.
        size: *S, the image's size.
        is_thing: Whether each of the K classes is countable.
        name: Name of the image.
    """
    grouped = group_pixels(outputs, size, is_thing=is_thing, threshold=SURE_CENTRE)
    found = (grouped.scores > 0).nonzero().flatten()
    stuff = [
        label
        for label, (countable, area) in enumerate(zip(is_thing, grouped.areas.tolist(), strict=False))
        if not countable and area > 0 and area >= LEAST_STUFF * prod(size)
    ]
    ids = torch.zeros(len(grouped.scores) + 1, dtype=torch.int32, device=found.device)
    ids[found + 1] = torch.arange(1, len(found) + 1, dtype=torch.int32, device=found.device)
    segments = ids[grouped.numbers]
    of_class = ids.new_zeros(len(is_thing) + 1)
    for number, label in enumerate(stuff, start=len(found) + 1):
        of_class[label] = number
    segments = torch.where(segments > 0, segments, of_class[grouped.classes.long()])
    return PanopticPrediction(
        name,
        segments.cpu().numpy(),
        np.concatenate([grouped.labels[found].cpu().numpy(), np.array(stuff, np.int64)]),
        np.concatenate([grouped.scores[found].cpu().numpy(), grouped.mean_chances[stuff].cpu().numpy()]),
        np.arange(len(found) + len(stuff)) < len(found),
    )


@dataclass(frozen=True)
class GroupedPixels:
    """The pixels of one image, grouped to objects.

    Attributes:
        classes: (*S) int32 most probable class 0..K-1 of each pixel, K for "nothing".
        numbers: (*S) int64: 0 is no object, i + 1 is that of centre i.
        labels: (M,) int64 class of each object.
        scores: (M,) float32 in [0, 1]; 0 of an object without pixels.
        areas: (K + 1,) number of pixels of each class.
        mean_chances: (K + 1,) mean probability of each class in the pixels where it is the most probable.
    """

    classes: Tensor
    numbers: Tensor
    labels: Tensor
    scores: Tensor
    areas: Tensor
    mean_chances: Tensor


def group_pixels(
    outputs: CentreOffsets,
    size: Sequence[int],
    *,
    is_thing: Sequence[bool],
    threshold: float = CENTRE_THRESHOLD,
) -> GroupedPixels:
    """Group the pixels of one image at size *S.

    Args:
        outputs: Network outputs of one image.
        size: *S, the image's size.
        is_thing: Whether each of the K classes is countable.
        threshold: Minimum height of the peak of an object.
    """
    logits, num_classes = outputs.class_logits, len(is_thing)
    parts = [chances.max(1) for _, chances in _chances_in_chunks(logits, size)]
    best, classes = torch.cat([p.values for p in parts], 1)[0], torch.cat([p.indices for p in parts], 1)[0]
    areas = torch.bincount(classes.flatten(), minlength=num_classes + 1)
    sums = best.new_zeros(num_classes + 1).index_add_(0, classes.flatten(), best.flatten())
    countable = torch.tensor([*is_thing, False], device=logits.device)
    centres, heights = find_centres(resize_logits(outputs.centres.float(), size)[0, 0], threshold)
    numbers = torch.zeros(tuple(size), dtype=torch.long, device=logits.device)
    inside = countable[classes]
    if len(centres) and bool(inside.any()):
        offsets = resize_offsets(outputs.offsets.float(), size)[0]
        numbers[inside] = nearest_centres(inside, offsets, centres) + 1
    labels = _majorities(numbers, classes, len(centres), num_classes)
    chances = _mean_chances_of(labels, numbers, logits, size)
    scores = chances * heights.clamp(0, 1)
    return GroupedPixels(classes.int(), numbers, labels, scores, areas, sums / areas.clamp(min=1))


def find_centres(heat: Tensor, threshold: float = CENTRE_THRESHOLD) -> tuple[Tensor, Tensor]:
    """Return the peaks of a heatmap (*S) above a height, the highest first: positions (M, D), heights (M,).

    Of equally high neighbours one is a peak: bfloat16 has many, and two peaks would share an object.
    """
    peaks = ((heat == _highest_nearby(heat)) & (heat > threshold)).nonzero()
    numbers = heat.new_zeros(heat.shape)
    numbers[tuple(peaks.T)] = torch.arange(1, len(peaks) + 1, device=heat.device, dtype=heat.dtype)
    peaks = ((numbers > 0) & (numbers == _highest_nearby(numbers))).nonzero()
    heights = heat[tuple(peaks.T)]
    order = heights.argsort(descending=True, stable=True)[:MOST_CENTRES]
    return peaks[order], heights[order]


def _highest_nearby(values: Tensor) -> Tensor:
    """Return the highest of the values (*S) in the neighbourhood of each pixel."""
    pool = F.max_pool2d if values.ndim == 2 else F.max_pool3d
    return pool(values[None, None], NEIGHBOURHOOD, stride=1, padding=NEIGHBOURHOOD // 2)[0, 0]


def nearest_centres(inside: Tensor, offsets: Tensor, centres: Tensor) -> Tensor:
    """Return the index of the centre nearest to where the offset of each pixel inside a mask points.

    Args:
        inside: (*S) bool, n of them True.
        offsets: (D, *S) in pixels.
        centres: (M, D) positions.

    Returns:
        (n,) int64, in the order of the pixels.
    """
    ends = inside.nonzero().float() + offsets[:, inside].T  # (n, D)
    step = max(1, _DISTANCES_AT_ONCE // len(centres))
    nearest = [
        torch.cdist(some, centres.float(), compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
        for some in torch.split(ends, step)
    ]
    return torch.cat(nearest)


def _majorities(numbers: Tensor, classes: Tensor, num_centres: int, num_classes: int) -> Tensor:
    """Return the most common class (M,) of the pixels of each object, the first of several."""
    grouped = numbers > 0
    pairs = (numbers[grouped] - 1) * num_classes + classes[grouped]
    votes = torch.bincount(pairs, minlength=num_centres * num_classes)
    return votes.view(num_centres, num_classes).argmax(1)


def _mean_chances_of(labels: Tensor, numbers: Tensor, logits: Tensor, size: Sequence[int]) -> Tensor:
    """Return the mean probability (M,) of each object's class over its pixels; 0 without pixels."""
    sums = torch.zeros(len(labels) + 1, device=logits.device)
    if not len(labels):
        return sums[1:]
    label_of = torch.cat([labels.new_zeros(1), labels])
    for rows, chances in _chances_in_chunks(logits, size):
        some = numbers[rows]
        of_object = chances[0].gather(0, label_of[some].unsqueeze(0))[0]
        sums.index_add_(0, some.flatten(), of_object.flatten())
    areas = torch.bincount(numbers.flatten(), minlength=len(labels) + 1)
    return (sums / areas.clamp(min=1))[1:]


def _chances_in_chunks(logits: Tensor, size: Sequence[int]) -> Iterator[tuple[slice, Tensor]]:
    """Yield slices of the first spatial axis, and the probabilities (1, K + 1, rows, ...) there."""
    for rows, scores in resized_in_chunks(logits, size):
        yield rows, scores.softmax(1)
