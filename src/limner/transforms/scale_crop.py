"""Random zoom and crop in one: draw first, then touch only the pixels that the crop needs.

Resizing a whole street scene to cut a quarter out of it is where other pipelines spend their time. Here the
window is drawn in source pixels, sliced out of the (possibly memory-mapped) image, and only that is resized.

Shape legend: S spatial axes, (H, W) or (D, H, W); C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from limner.core.labels import IGNORE_INDEX
from limner.core.sample import Image, LabelMap, Sample
from limner.core.segments import Layer, Segments
from limner.transforms.resize_array import as_dtype, resize_image, resize_labels

CROP_DRAWS = 10
"""Crops drawn before one with too much of a single class is taken after all, as in mmsegmentation."""

JUDGED_SIDE = 64
"""A crop's classes are counted on at most this many pixels a side; a share needs no more."""


@dataclass(frozen=True)
class CropParams:
    """Which part of the source becomes the crop.

    Attributes:
        start: First source pixel of the window along each axis; negative where the image is smaller than
            the window, which is then padded.
        window: Source pixels that the crop covers along each axis; the zoom is crop size / window.
    """

    start: tuple[int, ...]
    window: tuple[int, ...]


@dataclass(frozen=True)
class ScaleCrop:
    """Zoom by a factor drawn evenly from `scale`, then crop to `size` at a random place.

    Attributes:
        size: The crop, (*S).
        scale: Smallest and largest zoom; 2 shows objects twice as large.
        fill: Value of padded pixels, one a channel or one for all, in the values of the image; padded
            labels are ignored, and padding belongs to no segment.
        category_max_ratio: A crop is drawn again, up to 10 times, while one class fills more than this part
            of its labelled pixels.
        foreground_probability: Part of the crops that are centred on a pixel of a class drawn evenly among
            the rarer ones of the image: those with no more pixels than the mean of its foreground classes.
        background: Trained index of the class that is never foreground, or None; without one, the image's
            largest class is its background. Where there are segments and no label map, it is a pixel of a
            segment drawn evenly.
    """

    size: tuple[int, ...]
    scale: tuple[float, float] = (1.0, 1.0)
    fill: Sequence[float] | float = 0.0
    category_max_ratio: float = 1.0
    foreground_probability: float = 0.0
    background: int | None = None

    def draw(self, rng: np.random.Generator, sample: Sample) -> CropParams:
        """Draw a zoom, then a place for its window."""
        zoom = rng.uniform(*self.scale)
        window = tuple(max(1, round(s / zoom)) for s in self.size)
        if sample.is_labelled and rng.random() < self.foreground_probability:
            centre = self._foreground(rng, sample)
            if centre is not None:
                start = (
                    int(np.clip(c - w // 2, *_starts(s, w)))
                    for c, w, s in zip(centre, window, sample.spatial_shape, strict=True)
                )
                return CropParams(tuple(start), window)
        return self._draw_place(rng, sample, window)

    def _foreground(self, rng: np.random.Generator, sample: Sample) -> tuple[int, ...] | None:
        if sample.semantic is not None:
            return foreground_pixel(rng, sample.semantic, self.background)
        return None if sample.segments is None else segment_pixel(rng, sample.segments)

    def _draw_place(self, rng: np.random.Generator, sample: Sample, window: tuple[int, ...]) -> CropParams:
        ranges = [_starts(s, w) for s, w in zip(sample.spatial_shape, window, strict=True)]
        for _ in range(CROP_DRAWS):
            start = tuple(int(rng.integers(low, high + 1)) for low, high in ranges)
            params = CropParams(start, window)
            if sample.semantic is None or self.category_max_ratio >= 1:
                break
            if largest_share(sample.semantic, params) <= self.category_max_ratio:
                break
        return params

    def apply(self, sample: Sample, params: CropParams) -> Sample:
        """Cut the window out, resize it, and pad what lies outside the image."""
        source, target = _inside(params, sample.spatial_shape, self.size)
        size = tuple(t.stop - t.start for t in target)
        image = self._padded(resize_image(np.asarray(sample.image[source]), size), target)
        semantic = None
        if sample.semantic is not None:
            semantic = self._padded_labels(resize_labels(np.asarray(sample.semantic[source]), size), target)
        segments = sample.segments
        if segments is not None:
            segments = segments.moved(
                lambda layer: self._padded_labels(
                    resize_labels(np.ascontiguousarray(layer[source]), size), target, fill=0
                )
            )
        spacing = sample.spacing_mm and tuple(
            mm * w / s for mm, w, s in zip(sample.spacing_mm, params.window, self.size, strict=True)
        )
        return replace(sample, image=image, semantic=semantic, segments=segments, spacing_mm=spacing)

    def _padded(self, part: Image, target: tuple[slice, ...]) -> Image:
        if part.shape[:-1] == self.size:
            return part
        fill = as_dtype(np.asarray(self.fill, np.float64), part.dtype)
        whole = np.empty((*self.size, part.shape[-1]), part.dtype)
        whole[...] = fill
        whole[target] = part
        return whole

    def _padded_labels(self, part: Layer, target: tuple[slice, ...], *, fill: int = IGNORE_INDEX) -> Layer:
        if part.shape == self.size:
            return part
        whole = np.full(self.size, fill, part.dtype)
        whole[target] = part
        return whole


def largest_share(semantic: LabelMap, params: CropParams) -> float:
    """Return the part of a window's labelled pixels that its largest class fills; 1 where none is labelled.

    Counted on a regular subsample of the window, at most `JUDGED_SIDE` pixels a side.
    """
    seen = tuple(
        slice(max(0, start), start + window, max(1, window // JUDGED_SIDE))
        for start, window in zip(params.start, params.window, strict=True)
    )
    counts = np.bincount(semantic[seen].ravel(), minlength=256)[:IGNORE_INDEX]
    labelled = counts.sum()
    return float(counts.max() / labelled) if labelled else 1.0


def foreground_pixel(
    rng: np.random.Generator, semantic: LabelMap, background: int | None
) -> tuple[int, ...] | None:
    """Draw a class evenly among the rarer foreground classes of an image, then one of its pixels evenly.

    Args:
        rng: The source of chance.
        semantic: (*S) trained labels.
        background: Trained index of the background, or None for the image's largest class.

    Returns:
        The pixel's position, or None where the image shows no foreground.
    """
    flat = np.ascontiguousarray(semantic).reshape(1, -1)
    # Twice as fast as numpy's bincount, and close enough: counts are exact up to 16 million.
    counts = cv2.calcHist([flat], [0], None, [256], [0, 256]).ravel()[:IGNORE_INDEX]
    counts[counts.argmax() if background is None else background] = 0
    present = np.flatnonzero(counts)
    if present.size == 0:
        return None
    rarer = present[counts[present] <= counts[present].mean()]
    chosen = int(rng.choice(rarer))
    pixels = np.flatnonzero(flat == chosen)
    return tuple(int(i) for i in np.unravel_index(pixels[rng.integers(pixels.size)], semantic.shape))


def segment_pixel(rng: np.random.Generator, segments: Segments) -> tuple[int, ...] | None:
    """Draw a segment evenly, then one of its pixels evenly; None where there is no segment."""
    present = np.flatnonzero(segments.areas)
    if present.size == 0:
        return None
    pixels = np.flatnonzero(segments.layers == 1 + int(rng.choice(present)))
    position = np.unravel_index(pixels[rng.integers(pixels.size)], segments.layers.shape)
    return tuple(int(i) for i in position[1:])


def _starts(size: int, window: int) -> tuple[int, int]:
    """Return the first and the last start that keeps the window in the image, or the image in the window."""
    return min(0, size - window), max(0, size - window)


def _inside(
    params: CropParams, shape: tuple[int, ...], size: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the source pixels that exist, and the part of the crop that they fill."""
    source, target = [], []
    for start, window, length, new in zip(params.start, params.window, shape, size, strict=True):
        low, high = max(0, start), min(length, start + window)
        first = min(round((low - start) * new / window), new - 1)
        last = max(round((high - start) * new / window), first + 1)
        source.append(slice(low, high))
        target.append(slice(first, last))
    return tuple(source), tuple(target)
