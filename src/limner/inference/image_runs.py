"""Running a network on one image: whole or in windows, and in one or several views.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from limner.core.errors import DataError, describe
from limner.core.outputs import DenseLogits, OutputKind, Outputs, PixelMaps
from limner.core.plan import InferencePlan
from limner.decoding.label_maps import as_pixel_outputs, semantic_logits
from limner.decoding.network_runs import Tile
from limner.inference.sliding_window import each_window, pad_by_reflection, sliding_window
from limner.inference.test_time_augmentation import View, views
from limner.weights.model import Model

SMALLEST_INPUT = 33
"""Minimum input size of networks; smaller images are padded by reflection."""

WHOLE_IMAGE_PIXELS = 2**24
"""Maximum number of pixels without windows, whatever the plan: 4096 x 4096, or 256 x 256 x 256."""


@dataclass(frozen=True)
class ImageRuns:
    """Runs of the network on one image, for `decoding/`; implements `NetworkRuns`.

    Attributes:
        model: The model on its device, in evaluation mode.
        images: (1, C, *S) input of the network, in file values.
        size: *S of the original image.
        settings: Window, overlap, flips and scales.
        where: The file, for error messages.
        kind: Kind of output of the network.
    """

    model: Model
    images: torch.Tensor
    size: tuple[int, ...]
    settings: InferencePlan
    where: str
    kind: OutputKind

    def views(self) -> Iterator["ViewRuns"]:
        """Yield every combination of zoom and mirrored axes."""
        for view in self._views():
            yield ViewRuns(self, view, view.apply(self.images, smallest=SMALLEST_INPUT))

    @property
    def seen_size(self) -> tuple[int, ...]:
        """*S of the network's input, without padding."""
        return tuple(self.images.shape[2:])

    @property
    def fits_in_one_pass(self) -> bool:
        """Whether there is only the plain view, and it is not resized or is a single band."""
        first, *others = self._views()
        seen = tuple(self.images.shape[2:])
        return first.is_plain and not others and (seen == self.size or self.window(seen) is None)

    @property
    def is_windowed(self) -> bool:
        """Whether `tiles` are windows, not the whole image."""
        return self.window(self.seen_size) is not None

    def whole(self) -> tuple[Outputs, tuple[int, ...]]:
        """Run the network on the whole image, padded if it is smaller than `SMALLEST_INPUT`.

        Raises:
            DataError: The image is too large.
        """
        seen = tuple(self.images.shape[2:])
        if math.prod(seen) > WHOLE_IMAGE_PIXELS:
            raise DataError(
                too_large(self.images, self.where, self.images.device, fix="Cut the image into tiles.")
            )
        padded = pad_by_reflection(self.images, [SMALLEST_INPUT] * len(seen))
        extent = tuple(p * n // s for p, n, s in zip(padded.shape[2:], self.size, seen, strict=True))
        return self.model(padded), extent

    def tiles(self) -> Iterator[Tile]:
        """Yield the outputs of each window, or of the whole image, padded by reflection if it is smaller."""
        window = self.window(self.seen_size) or self.seen_size
        least = tuple(max(side, SMALLEST_INPUT) for side in window)
        for start, seen in each_window(self.images, window=least, overlap=self.settings.overlap):
            yield Tile(self.model(seen), start, least)

    def _views(self) -> Iterator[View]:
        settings = self.settings
        axes = self.model.plan.augment.flip_axes
        return views(scales=settings.scales, flips=settings.flips, flip_axes=axes)

    def window(self, size: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the window for images of a size, or None for whole images."""
        if self.settings.window is not None:
            return tuple(max(w, SMALLEST_INPUT) for w in self.settings.window)
        if math.prod(size) <= WHOLE_IMAGE_PIXELS:
            return None
        least = 1024 if len(size) == 2 else 96
        return tuple(max(side, least) for side in self.model.plan.input.crop_size)


@dataclass(frozen=True)
class ViewRuns:
    """Runs of the network on one view of an image.

    Attributes:
        image: The image.
        view: Zoom and mirrored axes.
        seen: (1, C, *S) input of the network.
    """

    image: ImageRuns
    view: View
    seen: torch.Tensor

    @property
    def shape(self) -> torch.Size:
        """Shape (1, C, *S) of the network's input."""
        return self.seen.shape

    @property
    def flipped(self) -> tuple[int, ...]:
        """Mirrored spatial axes, counted from 0."""
        return self.view.flipped

    def undo_flip(self, scores: torch.Tensor) -> torch.Tensor:
        """Mirror scores (1, K, *S) back."""
        return self.view.undo_flip(scores)

    def whole(self) -> Outputs:
        """Run the network on the whole view, padded if it is smaller than `SMALLEST_INPUT`."""
        padded = pad_by_reflection(self.seen, [SMALLEST_INPUT] * (self.seen.ndim - 2))
        outputs: Outputs = self.image.model(padded)
        return outputs

    def bands(self) -> Iterator[tuple[slice, Outputs]]:
        """Yield slices of the first axis with the outputs there, at any resolution; one without windows."""
        images, size = self.seen, tuple(self.shape[2:])
        window = self.image.window(size)
        if window is not None:
            for rows, maps in sliding_window(
                self._maps,
                images,
                window=window,
                overlap=self.image.settings.overlap,
                windows_at_once=_windows_at_once(window, images.device),
            ):
                yield rows, self._outputs(maps)
            return
        if min(size) >= SMALLEST_INPUT:
            yield slice(0, size[0]), self.image.model(images)
            return
        padded = pad_by_reflection(images, [SMALLEST_INPUT] * len(size))
        maps = self._maps(padded)
        for axis, length in enumerate(size, start=2):
            maps = maps.narrow(axis, (maps.shape[axis] - length) // 2, length)
        yield slice(0, size[0]), self._outputs(maps)

    def _maps(self, images: torch.Tensor) -> torch.Tensor:
        """Return outputs at the size of images (b, C, *S) as one tensor (b, maps, *S), to be blended."""
        outputs = self.image.model(images)
        if isinstance(outputs, PixelMaps):
            return outputs.resized(images.shape[2:]).stacked()
        return semantic_logits(as_pixel_outputs(outputs), images.shape[2:])

    def _outputs(self, maps: torch.Tensor) -> Outputs:
        """Return the outputs with blended maps."""
        kind = self.image.kind
        return kind.unstacked(maps) if issubclass(kind, PixelMaps) else DenseLogits(maps)


def _windows_at_once(window: tuple[int, ...], device: torch.device) -> int:
    """Return the number of windows per batch: 1 on a CPU, about 2 megapixels on an accelerator."""
    return 1 if device.type == "cpu" else max(1, 2**21 // math.prod(window))


def too_large(
    images: torch.Tensor,
    where: str,
    device: torch.device,
    fix: str = "Predict in windows: --window 512x512, or inference.window in the plan.",
) -> str:
    """Return the error message for an image that does not fit in the device's memory."""
    size = " x ".join(str(s) for s in images.shape[2:])
    return describe(
        f"The image does not fit in the memory of {device} at once",
        where=where,
        found=f"{size} pixels",
        fix=fix,
    )
