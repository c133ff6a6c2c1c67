"""Running an exported network on one image without PyTorch: whole or in windows, and in one or several views.

The same steps as in `image_runs`, `sliding_window` and `fitted_images`, with arrays instead of tensors.

Shape legend: B batch, C channels, K classes, *S spatial axes, w window size.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from limner.core.errors import DataError
from limner.core.plan import InferencePlan
from limner.decoding.network_arrays import (
    ArrayTile,
    Logits,
    NamedArrays,
    PixelArrays,
    QueryArrays,
    index_of,
)
from limner.decoding.pixel_arrays import PIXEL_MAPS, pixel_arrays, scores_at
from limner.inference.blending import Blending, outer
from limner.inference.test_time_augmentation import View, views
from limner.inference.view_rules import ViewRules, axis_of_parts, is_too_large, too_large
from limner.inference.window_grid import WindowGrid, place_in_padding

if TYPE_CHECKING:
    from limner.decoding.network_runs import Box

Images = npt.NDArray[Any]
"""(1, C, *S) in file values."""


@dataclass(frozen=True)
class ImageArrayRuns:
    """Runs of a network on one image, for `decoding/`; implements `ArrayRuns`.

    Attributes:
        run: Maps images (1, C, *S) in float32 to the outputs.
        kind: Name of the kind of the outputs.
        image: (1, C, *S) input of the network, in file values.
        size: *S of the original image.
        rules: What the network is given of the image.
        where: The file, for error messages.
    """

    run: Callable[[Images], NamedArrays]
    kind: str
    image: Images
    size: tuple[int, ...]
    rules: ViewRules
    where: str

    @property
    def settings(self) -> InferencePlan:
        """The settings of the prediction."""
        return self.rules.settings

    @property
    def seen_size(self) -> tuple[int, ...]:
        """*S of the network's input, without padding."""
        return tuple(self.image.shape[2:])

    @property
    def has_one_view(self) -> bool:
        """Whether there is only the plain view."""
        first, *others = self._kinds_of_view()
        return first.is_plain and not others

    @property
    def fits_in_one_pass(self) -> bool:
        """Whether there is only the plain view, and it is not resized or is a single part."""
        return self.has_one_view and (self.seen_size == self.size or not self.is_windowed)

    @property
    def is_windowed(self) -> bool:
        """Whether `tiles` are windows, not the whole image."""
        return self.rules.window(self.seen_size) is not None

    def whole(self) -> tuple[NamedArrays, tuple[int, ...]]:
        """Run the network on the whole image, padded if it is smaller than `smallest_input`.

        Raises:
            DataError: The image is too large.
        """
        seen = self.seen_size
        if is_too_large(seen):
            raise DataError(too_large(seen, self.where, "cpu", fix="Cut the image into tiles."))
        images = padded(self.image, self.rules.smallest_input, self.rules.fill)
        extent = tuple(p * n // s for p, n, s in zip(images.shape[2:], self.size, seen, strict=True))
        return self.outputs(images), extent

    def tiles(self) -> Iterator[ArrayTile]:
        """Yield the outputs of each window, or of the whole image, padded if it is smaller."""
        window = self.rules.window(self.seen_size) or self.seen_size
        least = tuple(max(sides) for sides in zip(window, self.rules.smallest_input, strict=True))
        grid = WindowGrid(self.seen_size, least, self.settings.overlap)
        images = padded(self.image, least, self.rules.fill)
        for place in grid.places():
            box = grid.box(place)
            starts = (side.start - inside.start for side, inside in zip(box, grid.inside, strict=True))
            yield ArrayTile(self.outputs(images[index_of(box)]), tuple(starts), least)

    def outputs(self, images: Images) -> NamedArrays:
        """Run the network on images (1, C, *S) of any type."""
        return self.run(np.ascontiguousarray(images, np.float32))

    def views(self) -> Iterator["ArrayViewRuns"]:
        """Yield every combination of zoom and mirrored axes, unless windows are mirrored by themselves."""
        smallest = min(self.rules.smallest_input)
        for view in self._kinds_of_view():
            yield ArrayViewRuns(self, view, _seen_in(view, self.image, smallest))

    @cached_property
    def mirrors(self) -> tuple[View, ...]:
        """The ways in which each window of a volume is seen, whose logits are averaged."""
        flips = self.settings.flips and self._mirrors_windows
        return tuple(views(scales=(1.0,), flips=flips, flip_axes=self.rules.flip_axes))

    def _kinds_of_view(self) -> Iterator[View]:
        flips = self.settings.flips and not self._mirrors_windows
        return views(scales=self.settings.scales, flips=flips, flip_axes=self.rules.flip_axes)

    @property
    def _mirrors_windows(self) -> bool:
        """Whether views would take too much memory: each has the scores of the whole volume."""
        return self.image.ndim == 5 and self.kind not in PIXEL_MAPS


@dataclass(frozen=True)
class ArrayViewRuns:
    """Runs of a network on one view of an image; implements `ArrayView`.

    Attributes:
        of: The image.
        view: Zoom and mirrored axes.
        seen: (1, C, *S) input of the network.
    """

    of: ImageArrayRuns
    view: View
    seen: Images

    @property
    def size(self) -> tuple[int, ...]:
        """*S of the network's input."""
        return tuple(self.seen.shape[2:])

    @property
    def flipped(self) -> tuple[int, ...]:
        """Mirrored spatial axes, counted from 0."""
        return self.view.flipped

    def whole(self) -> Logits:
        """Run the network on the whole view, padded if it is smaller than it accepts."""
        images = padded(self.seen, self.of.rules.smallest_input, self.of.rules.fill)
        return self.of.outputs(images)["logits"]

    def parts(self) -> Iterator[tuple["Box", PixelArrays]]:
        """Yield boxes that do not overlap with the maps there; without windows one, at any resolution."""
        rules, size = self.of.rules, self.size
        window, box = rules.window(size), tuple(slice(0, side) for side in size)
        if window is not None:
            grid = WindowGrid(size, window, rules.settings.overlap, axis_of_parts(size, window))
            yield from self._windows(grid)
            return
        is_padded = any(side < least for side, least in zip(size, rules.smallest_input, strict=True))
        if not is_padded and len(self.of.mirrors) == 1:
            yield box, self._run(self.seen)
            return
        maps = self._maps(padded(self.seen, rules.smallest_input, rules.fill))
        inside = (place_in_padding(side, shown) for side, shown in zip(size, maps.shape[2:], strict=True))
        yield box, maps[index_of(inside)]

    def _windows(self, grid: WindowGrid) -> Iterator[tuple["Box", Logits]]:
        """Yield the blended logits of parts as they are finished."""
        image = padded(self.seen, grid.window, self.of.rules.fill)
        blending = Blending[Logits](grid, lambda scores, shape: np.empty(shape, scores.dtype))
        blank: dict[tuple[float, ...], Logits] = {}  # windows with the same single value look the same
        for place in grid.places():
            part = image[index_of(grid.box(place))]
            value = _only_values(part)
            if value is None:
                logits = self._maps(part)
            else:
                if value not in blank:
                    blank = {value: self._maps(part)}
                logits = blank[value].copy()
            logits *= outer(grid.weights(place))
            box, finished = blending.add(place, logits)
            shown, local = grid.without_padding(box)
            yield shown, finished[index_of(local)]

    def _maps(self, images: Images) -> Logits:
        """Return maps (1, K, *S) at the size of images, averaged over mirrored windows; a new array."""
        size = images.shape[2:]
        first, *others = self.of.mirrors
        total = _at_size(self._run(images), size)
        for mirror in others:
            axes = tuple(axis + 2 for axis in mirror.flipped)
            total += np.flip(_at_size(self._run(np.flip(images, axes)), size), axes)
        if others:
            total /= len(self.of.mirrors)
        return total

    def _run(self, images: Images) -> PixelArrays:
        """Return the maps of images (1, C, *S) at any resolution."""
        return pixel_arrays(self.of.kind, self.of.outputs(images), images.shape[2:])


def padded(images: Images, least: Sequence[int], fill: Sequence[float] | None) -> Images:
    """Pad each spatial axis that is shorter than `least` equally at both ends.

    Args:
        images: (1, C, *S).
        least: Minimum length of each spatial axis.
        fill: Value of padding in each channel; None pads by reflection, repeatedly if needed.
    """
    size = images.shape[2:]
    wanted = [max(pair) for pair in zip(size, least, strict=True)]
    if list(size) == wanted:
        return images
    inside = [place_in_padding(length, longer) for length, longer in zip(size, wanted, strict=True)]
    if fill is None:
        around = [(i.start, longer - i.stop) for i, longer in zip(inside, wanted, strict=True)]
        return np.pad(images, [(0, 0), (0, 0), *around], mode="reflect")
    values = np.asarray(fill, np.float64).astype(images.dtype).reshape(1, -1, *[1] * len(size))
    result: Images = np.broadcast_to(values, (*images.shape[:2], *wanted)).copy()
    result[index_of(inside)] = images
    return result


def smoothly_resized(images: Images, size: Sequence[int]) -> Images:
    """Resize images (1, C, H, W) linearly; smaller ones are averaged, as PyTorch's ``antialias`` does.

    Pillow's and PyTorch's filters are the same triangle.
    """
    height, width = size
    planes = [
        PillowImage.fromarray(np.ascontiguousarray(plane, np.float32)).resize(
            (width, height), PillowImage.Resampling.BILINEAR
        )
        for plane in images[0]
    ]
    return np.stack([np.asarray(plane) for plane in planes])[np.newaxis]


def _seen_in(view: View, image: Images, smallest: int) -> Images:
    """Return a view (1, C, *zoomed) of an image (1, C, *S)."""
    if view.scale != 1.0:
        size = view.zoomed(tuple(image.shape[2:]), smallest)
        if view.is_smoothed(size):
            image = smoothly_resized(image, size)
        else:
            image = _at_size(np.asarray(image, np.float32), size)
    return np.flip(image, tuple(axis + 2 for axis in view.flipped)) if view.flipped else image


def _at_size(maps: PixelArrays, size: Sequence[int]) -> Logits:
    """Return maps (1, K, *S)."""
    if not isinstance(maps, QueryArrays) and maps.shape[2:] == tuple(size):
        return maps
    return scores_at(maps, size, slice(0, size[0]))[np.newaxis]


def _only_values(part: Images) -> tuple[float, ...] | None:
    """Return the value of each channel of a part (1, C, *w) if it has no other, else None."""
    first, last = (part[index_of([end] * (part.ndim - 2))] for end in (slice(0, 1), slice(-1, None)))
    is_blank = bool((first == last).all()) and bool((part == first).all())
    return tuple(first.ravel().tolist()) if is_blank else None
