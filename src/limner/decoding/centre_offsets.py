"""Decoding of class, centre and offset at each pixel to the objects or segments of one image.

The paper, and what differs from it, are in `grouped_pixels`.

Shape legend: B batch, K classes, D number of spatial axes, M centres, *s network resolution, *S the image's.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from limner.core.outputs import CentreOffsets, Outputs, resize_logits, resize_offsets
from limner.core.prediction import PanopticPrediction, SegmentPrediction
from limner.decoding.grouped_pixels import (
    CENTRE_THRESHOLD,
    MOST_CENTRES,
    MOST_SADDLE,
    NEIGHBOURHOOD,
    SURE_CENTRE,
    TIE,
    GroupedPixels,
    objects_of_groups,
    segments_of_groups,
)
from limner.decoding.network_runs import ImageView, NetworkRuns
from limner.decoding.resizing import resized_in_chunks
from limner.decoding.view_parts import joined

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
    return objects_of_groups(grouped, name=name)


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
    return segments_of_groups(grouped, is_thing=is_thing, name=name)


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
    tensors = (classes.int(), numbers, labels, scores.float(), areas, sums / areas.clamp(min=1))
    return GroupedPixels(*(each.cpu().numpy() for each in tensors))


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
    heights = heights * (1 - TIE * torch.arange(len(peaks), device=heat.device))
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
