"""Random zoom and crop in one step, which processes only the pixels of the crop.

Other pipelines spend most of their time resizing whole images before cropping. Here the window is drawn in
source pixels, sliced out of the (possibly memory-mapped) image, and only this part is resized.

Shape legend: S spatial axes, (H, W) or (D, H, W); C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from limner.core.picture import Image
from limner.core.plan import ResizePlan
from limner.core.sample import Sample
from limner.core.targets import Array, Move, Points
from limner.transforms.fitted_size import fitted_size
from limner.transforms.resize_array import as_dtype, resize_image, resize_labels

CROP_DRAWS = 10
"""Maximum number of draws to find a crop below `category_max_ratio`, as in mmsegmentation, or one that cuts
no word; else the one that cuts the fewest."""


@dataclass(frozen=True)
class CropParams:
    """Parameters of `ScaleCrop`: the part of the source image to crop.

    Attributes:
        start: First source pixel of the window along each axis; negative if the image is smaller than the
            window, which is then padded.
        window: Size of the window in source pixels along each axis; the zoom is crop size / window.
    """

    start: tuple[int, ...]
    window: tuple[int, ...]


@dataclass(frozen=True)
class ScaleCrop:
    """Zoom by a factor drawn uniformly from `scale`, then crop to `size` at a random position.

    Attributes:
        size: Size of the crop, (*S).
        scale: Smallest and largest zoom; with 2, objects are twice as large.
        fill: Value of padded pixels, per channel or one for all, in image values; in label maps they are
            ignored, and they are in no segment.
        category_max_ratio: A crop is drawn again, up to 10 times, while one class fills more than this
            fraction of its labelled pixels.
        foreground_probability: Fraction of crops that are centred on a foreground pixel. For label maps, its
            class is drawn uniformly from the rarer ones in the image (those with no more pixels than the mean
            of its foreground classes); for segments, boxes and words, one of them is drawn uniformly.
        background: Trained index of the background class, or None; if None, the largest class of each label
            map is its background.
        scale_of: What a zoom of 1 is: the resized image (``image``), or the zoom at which it just fits in the
            crop (``fit``).
        resize: Size to which images are resized first; for images in 2 dimensions.
        probability: Fraction of crops that are zoomed; the others have a zoom of 1.
    """

    size: tuple[int, ...]
    scale: tuple[float, float] = (1.0, 1.0)
    fill: Sequence[float] | float = 0.0
    category_max_ratio: float = 1.0
    foreground_probability: float = 0.0
    background: int | None = None
    scale_of: Literal["image", "fit"] = "image"
    resize: ResizePlan | None = None
    probability: float = 1.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> CropParams:
        """Draw a zoom, then the position of its window."""
        zoom, units = rng.uniform(*self.scale), self._unit_zooms(sample.spatial_shape)
        # Nothing more is drawn where all crops are zoomed, so that older runs can be resumed.
        if self.probability < 1 and rng.random() >= self.probability:
            zoom = 1.0
        window = tuple(max(1, round(s / (zoom * unit))) for s, unit in zip(self.size, units, strict=True))
        seeks = bool(sample.targets) and rng.random() < self.foreground_probability
        drawn: list[tuple[int, CropParams]] = []
        while len(drawn) < CROP_DRAWS and (not drawn or drawn[-1][0] > 0):
            params = on_whole_pixels(self._draw_window(rng, sample, window, seeks=seeks), sample)
            drawn.append((sum(t.num_cut(params.start, params.window) for t in sample.targets), params))
        return min(drawn, key=lambda each: each[0])[1]

    def _draw_window(
        self, rng: np.random.Generator, sample: Sample, window: tuple[int, ...], *, seeks: bool
    ) -> CropParams:
        if seeks:
            pixels = (target.foreground_pixel(rng, self.background) for target in sample.targets)
            centre = next((pixel for pixel in pixels if pixel is not None), None)
            if centre is not None:
                start = (
                    int(np.clip(c - w // 2, *_starts(s, w)))
                    for c, w, s in zip(centre, window, sample.spatial_shape, strict=True)
                )
                return CropParams(tuple(start), window)
        return self._draw_place(rng, sample, window)

    def _unit_zooms(self, shape: tuple[int, ...]) -> tuple[float, ...]:
        """Return the factor along each axis by which a zoom of 1 enlarges an image of this shape."""
        seen = shape
        if self.resize is not None and not self.resize.is_noop:
            height, width = shape
            seen = fitted_size(height, width, self.resize)
        fit = 1.0
        if self.scale_of == "fit":
            fit = min(side / of for side, of in zip(self.size, seen, strict=True))
        return tuple(fit * new / old for new, old in zip(seen, shape, strict=True))

    def _draw_place(self, rng: np.random.Generator, sample: Sample, window: tuple[int, ...]) -> CropParams:
        ranges = [_starts(s, w) for s, w in zip(sample.spatial_shape, window, strict=True)]
        most = self.category_max_ratio
        for _ in range(CROP_DRAWS):
            start = tuple(int(rng.integers(low, high + 1)) for low, high in ranges)
            if most >= 1 or all(target.largest_share(start, window) <= most for target in sample.targets):
                break
        return CropParams(start, window)

    def apply(self, sample: Sample, params: CropParams) -> Sample:
        """Crop the window, resize it, and pad pixels outside the image."""
        source, target = _inside(params, sample.spatial_shape, self.size)
        size = tuple(t.stop - t.start for t in target)

        def labels(array: Array, outside: int) -> Array:
            return self._padded_labels(resize_labels(np.asarray(array[source]), size), target, fill=outside)

        move = Move(self.size, labels, points=lambda points: _zoomed(points, source, target))
        part = tuple(slice(s.start // sample.reduction, s.stop // sample.reduction) for s in source)
        image = self._padded(resize_image(np.asarray(sample.image[part]), size), target)
        spacing = sample.spacing_mm and tuple(
            mm * w / s for mm, w, s in zip(sample.spacing_mm, params.window, self.size, strict=True)
        )
        return sample.moved(move, image, spacing)

    def _padded(self, part: Image, target: tuple[slice, ...]) -> Image:
        if part.shape[:-1] == self.size:
            return part
        fill = as_dtype(np.asarray(self.fill, np.float64), part.dtype)
        whole = np.empty((*self.size, part.shape[-1]), part.dtype)
        whole[...] = fill
        whole[target] = part
        return whole

    def _padded_labels(self, part: Array, target: tuple[slice, ...], *, fill: int) -> Array:
        if part.shape == self.size:
            return part
        whole = np.full(self.size, fill, part.dtype)
        whole[target] = part
        return whole


def on_whole_pixels(params: CropParams, sample: Sample) -> CropParams:
    """Return the nearest window that cuts no pixel of a reduced image, so that the labels fit exactly."""
    step = sample.reduction
    if step == 1:
        return params
    window = tuple(max(1, round(side / step)) * step for side in params.window)
    ranges = [_starts(s, w) for s, w in zip(sample.spatial_shape, window, strict=True)]
    starts = zip(params.start, ranges, strict=True)
    return CropParams(tuple(min(max(s // step * step, low), high) for s, (low, high) in starts), window)


def _starts(size: int, window: int) -> tuple[int, int]:
    """Return the first and last start for which the window is inside the image, or contains it."""
    return min(0, size - window), max(0, size - window)


def _inside(
    params: CropParams, shape: tuple[int, ...], size: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the window's pixels inside the image, and the part of the crop that they fill."""
    source, target = [], []
    for start, window, length, new in zip(params.start, params.window, shape, size, strict=True):
        low, high = max(0, start), min(length, start + window)
        first = min(round((low - start) * new / window), new - 1)
        last = max(round((high - start) * new / window), first + 1)
        source.append(slice(low, high))
        target.append(slice(first, last))
    return tuple(source), tuple(target)


def _zoomed(points: Points, source: tuple[slice, ...], target: tuple[slice, ...]) -> Points:
    """Return points (P, D) under the map of pixels from `source` to `target`."""
    of_axes = zip(source[::-1], target[::-1], strict=True)
    rows = [(old.start, old.stop - old.start, new.start, new.stop - new.start) for old, new in of_axes]
    start, length, new_start, new_length = np.array(rows, np.float64).T
    # Multiply before dividing, so that whole numbers are exact.
    moved: Points = (points - start) * new_length / length + new_start
    return moved
