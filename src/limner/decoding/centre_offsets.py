"""Decoding of class, centre and offset at each pixel to the objects or segments of one image.

Paper: Panoptic-DeepLab (Cheng et al., CVPR 2020), https://arxiv.org/abs/1911.10194, section 3.2: centres are
the peaks of the heatmap; each pixel of a countable class belongs to the centre nearest to where its offset
points; an object has the class of most of its pixels, and its score comes from the mean probability of that
class and the height of its peak.

What differs, and why: the heatmap is smoothed by a pixel, and a peak must stand out from higher ones around
it, since large and difficult objects have many peaks; the score is the root of the product instead of the
product, which ranks objects alike, and lets 0.5 mean "rather yes" as for other networks; up to `MOST_CENTRES`
objects instead of 200, since images of cells have more; stuff is dropped below a fraction of the image
instead of a number of pixels, since images have any size; and panoptic segments need a higher peak
(`SURE_CENTRE`) than objects with a score.

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
from limner.decoding.view_parts import joined

CENTRE_THRESHOLD, NEIGHBOURHOOD, MOST_CENTRES = 0.1, 7, 1000
"""Minimum height of a peak; side of the square in which it is the highest, in pixels; maximum number of
peaks. The first two are the paper's."""

MOST_SADDLE = 0.8
"""A peak is one of its own if the way from it to a higher one sinks below this part of its height.

Blood cells, 3 minutes on 2 cores, 16 images: an AP of 0.064 without this and without smoothing, 0.082 with
this alone, 0.154 with smoothing alone, and 0.246 with both; 0.259 at 0.7 and 0.243 at 0.9."""

SURE_CENTRE = 0.3
"""Minimum height of the peak of a panoptic segment. The paper has `CENTRE_THRESHOLD` there too, after days of
training; after minutes, heatmaps have false peaks of 0.1 to 0.2, which split large objects. Measured on four
images that a narrow network overfits in 200 steps: a PQ of 0.743 with 0.1, of 0.914 with 0.3, and of 0.922
with 0.5. Of objects, the score puts false ones last."""

LEAST_STUFF = 0.001
"""Minimum fraction of the image that a class of stuff covers: as the paper's 2048 pixels on Cityscapes."""

_TIE = 1e-6
"""Relative difference that decides between peaks of the same height."""

_FLOODS_AT_ONCE = 8
"""Steps of one pixel between two looks whether a flood has ended."""

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
    """Return the maps of one view, its parts joined."""
    return CentreOffsets.unstacked(
        joined(view, lambda outputs, _: as_centre_offsets(outputs).stacked().float())
    )


def as_centre_offsets(outputs: Outputs) -> CentreOffsets:
    """Return outputs of class, centre and offset, as planning has made sure they are."""
    assert isinstance(outputs, CentreOffsets), f"no centres and offsets: {type(outputs).__name__}"
    return outputs


def find_centred_objects(
    outputs: CentreOffsets,
    size: Sequence[int],
    *,
    is_thing: Sequence[bool],
    name: str,
    seen_size: Sequence[int] | None = None,
) -> SegmentPrediction:
    """Return the objects of one image, highest score first; no two share a pixel.

    Args:
        outputs: Network outputs of one image.
        size: *S, the image's size.
        is_thing: Whether each of the K classes is countable.
        name: Name of the image.
        seen_size: Size at which the network saw the image, if it was resized.
    """
    grouped = group_pixels(outputs, size, is_thing=is_thing, seen_size=seen_size)
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
    outputs: CentreOffsets,
    size: Sequence[int],
    *,
    is_thing: Sequence[bool],
    name: str,
    seen_size: Sequence[int] | None = None,
) -> PanopticPrediction:
    """Return the objects and stuff of one image, each pixel in at most one.

    Args:
        outputs: Network outputs of one image.
        size: *S, the image's size.
        is_thing: Whether each of the K classes is countable.
        name: Name of the image.
        seen_size: Size at which the network saw the image, if it was resized.
    """
    grouped = group_pixels(outputs, size, is_thing=is_thing, seen_size=seen_size, threshold=SURE_CENTRE)
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
    seen_size: Sequence[int] | None = None,
    threshold: float = CENTRE_THRESHOLD,
) -> GroupedPixels:
    """Group the pixels of one image at size *S.

    Peaks are found at the size at which the network saw the image, as they are as wide there as learned.

    Args:
        outputs: Network outputs of one image.
        size: *S, the image's size.
        is_thing: Whether each of the K classes is countable.
        seen_size: Size at which the network saw the image, if it was resized.
        threshold: Minimum height of the peak of an object.
    """
    logits, num_classes = outputs.class_logits, len(is_thing)
    parts = [chances.max(1) for _, chances in _chances_in_chunks(logits, size)]
    best, classes = torch.cat([p.values for p in parts], 1)[0], torch.cat([p.indices for p in parts], 1)[0]
    areas = torch.bincount(classes.flatten(), minlength=num_classes + 1)
    sums = best.new_zeros(num_classes + 1).index_add_(0, classes.flatten(), best.flatten())
    countable = torch.tensor([*is_thing, False], device=logits.device)
    seen = tuple(seen_size or size)
    peaks, heights = find_centres(resize_logits(outputs.centres.float(), seen)[0, 0], threshold)
    scale = torch.tensor([new / old for new, old in zip(size, seen, strict=True)], device=peaks.device)
    centres = (peaks + 0.5) * scale - 0.5
    numbers = torch.zeros(tuple(size), dtype=torch.long, device=logits.device)
    inside = countable[classes]
    if len(centres) and bool(inside.any()):
        offsets = resize_offsets(outputs.offsets.float(), size)[0]
        numbers[inside] = nearest_centres(inside, offsets, centres) + 1
    labels = _majorities(numbers, classes, len(centres), num_classes)
    chances = _mean_chances_of(labels, numbers, logits, size)
    scores = (chances * heights.clamp(0, 1)).sqrt()
    return GroupedPixels(classes.int(), numbers, labels, scores, areas, sums / areas.clamp(min=1))


def find_centres(heat: Tensor, threshold: float = CENTRE_THRESHOLD) -> tuple[Tensor, Tensor]:
    """Return the peaks of a heatmap (*S) above a height, the highest first: positions (M, D), heights (M,).

    Of equally high neighbours one is a peak: bfloat16 has many, and two peaks would share an object.
    """
    heat = _smoothed(heat)
    peaks = ((heat == _highest_nearby(heat)) & (heat > threshold)).nonzero()
    heights = heat[tuple(peaks.T)]
    order = heights.argsort(descending=True, stable=True)
    peaks, heights = peaks[order], heights[order]
    own = _stand_out(heat, peaks, heights)
    return peaks[own][:MOST_CENTRES], heights[own][:MOST_CENTRES]


def _stand_out(heat: Tensor, peaks: Tensor, heights: Tensor) -> Tensor:
    """Return for each peak whether every way to an earlier one sinks below `MOST_SADDLE` of its height.

    The heat of each peak, lowered to that part, floods the heatmap as far as it is higher than the flood
    (a morphological reconstruction): a peak that the flood of another one rises above does not stand out.

    Args:
        heat: (*S).
        peaks: (M, D) positions, highest first.
        heights: (M,) their heat.
    """
    # Each a little lower than the one before it, so that no two are equally high.
    heights = heights * (1 - _TIE * torch.arange(len(peaks), device=heat.device))
    ground, flood = heat.clone(), torch.zeros_like(heat)
    ground[tuple(peaks.T)] = heights
    flood[tuple(peaks.T)] = heights * MOST_SADDLE
    before = torch.full_like(flood, -1)
    while not torch.equal(before, flood):
        before = flood
        for _ in range(_FLOODS_AT_ONCE):
            flood = torch.minimum(_highest_nearby(flood, 3), ground)
    return flood[tuple(peaks.T)] <= heights * MOST_SADDLE


def _smoothed(heat: Tensor) -> Tensor:
    """Return the heatmap (*S) without the stripes of single pixels that decoders leave."""
    for axis in range(heat.ndim):
        before, after = (heat.roll(shift, axis) for shift in (1, -1))
        before.select(axis, 0).copy_(heat.select(axis, 0))
        after.select(axis, -1).copy_(heat.select(axis, -1))
        heat = (before + 2 * heat + after) / 4
    return heat


def _highest_nearby(values: Tensor, side: int = NEIGHBOURHOOD) -> Tensor:
    """Return the highest of the values (*S) in a square around each pixel."""
    pool = F.max_pool2d if values.ndim == 2 else F.max_pool3d
    return pool(values[None, None], side, stride=1, padding=side // 2)[0, 0]


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
