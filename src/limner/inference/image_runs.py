"""One image through a network: whole or in windows, as it is or in several views.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from limner.core.errors import DataError, describe
from limner.core.outputs import DenseLogits, Outputs
from limner.core.plan import InferencePlan
from limner.decoding.label_maps import as_pixel_outputs, semantic_logits
from limner.inference.sliding_window import pad_by_reflection, sliding_window
from limner.inference.test_time_augmentation import View, views
from limner.weights.model import Model

SMALLEST_INPUT = 33
"""Networks take any size from here; smaller images are padded by reflection."""

WHOLE_IMAGE_PIXELS = 2**24
"""Larger images slide even where the plan says whole images: 4096 x 4096, or 256 x 256 x 256."""


@dataclass(frozen=True)
class ImageRuns:
    """What `decoding/` asks of the network for one image; implements `NetworkRuns`.

    Attributes:
        model: On its device, in evaluation mode.
        images: (1, C, *S) as the network sees them, in file values.
        size: *S of the image itself.
        settings: Window, overlap, flips and scales.
        where: The file, for error messages.
    """

    model: Model
    images: torch.Tensor
    size: tuple[int, ...]
    settings: InferencePlan
    where: str

    def views(self) -> Iterator["ViewRuns"]:
        """Yield every zoom, and of each zoom every combination of mirrored axes."""
        for view in self._views():
            yield ViewRuns(self, view, view.apply(self.images, smallest=SMALLEST_INPUT))

    @property
    def fits_in_one_pass(self) -> bool:
        """Whether the plain image is the only view, and its bands have the image's rows or are one."""
        first, *others = self._views()
        seen = tuple(self.images.shape[2:])
        return first.is_plain and not others and (seen == self.size or self.window(seen) is None)

    def whole(self) -> tuple[Outputs, tuple[int, ...]]:
        """Run the network on the whole image, padded where it is smaller than networks take.

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

    def _views(self) -> Iterator[View]:
        settings = self.settings
        axes = self.model.plan.augment.flip_axes
        return views(scales=settings.scales, flips=settings.flips, flip_axes=axes)

    def window(self, size: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the window for images of a size, or None to take them whole."""
        if self.settings.window is not None:
            return tuple(max(w, SMALLEST_INPUT) for w in self.settings.window)
        if math.prod(size) <= WHOLE_IMAGE_PIXELS:
            return None
        least = 1024 if len(size) == 2 else 96
        return tuple(max(side, least) for side in self.model.plan.input.crop_size)


@dataclass(frozen=True)
class ViewRuns:
    """One view of an image through the network.

    Attributes:
        image: The image.
        view: How it is looked at.
        seen: (1, C, *S) what the network sees.
    """

    image: ImageRuns
    view: View
    seen: torch.Tensor

    @property
    def shape(self) -> torch.Size:
        """(1, C, *S) of what the network sees."""
        return self.seen.shape

    def undo_flip(self, scores: torch.Tensor) -> torch.Tensor:
        """Mirror scores (1, K, *S) back."""
        return self.view.undo_flip(scores)

    def bands(self) -> Iterator[tuple[slice, Outputs]]:
        """Yield slices of the first axis and the outputs there, at any resolution: one band if whole."""
        images, size = self.seen, tuple(self.shape[2:])
        window = self.image.window(size)
        if window is not None:
            for rows, scores in sliding_window(
                self._logits,
                images,
                window=window,
                overlap=self.image.settings.overlap,
                windows_at_once=_windows_at_once(window, images.device),
            ):
                yield rows, DenseLogits(scores)
            return
        if min(size) >= SMALLEST_INPUT:
            yield slice(0, size[0]), self.image.model(images)
            return
        padded = pad_by_reflection(images, [SMALLEST_INPUT] * len(size))
        scores = self._logits(padded)
        for axis, length in enumerate(size, start=2):
            scores = scores.narrow(axis, (scores.shape[axis] - length) // 2, length)
        yield slice(0, size[0]), DenseLogits(scores)

    def _logits(self, images: torch.Tensor) -> torch.Tensor:
        """(b, C, *S) -> (b, K, *S)."""
        return semantic_logits(as_pixel_outputs(self.image.model(images)), images.shape[2:])


def _windows_at_once(window: tuple[int, ...], device: torch.device) -> int:
    """A processor gains nothing from more than one; an accelerator is filled to about 2 megapixels."""
    return 1 if device.type == "cpu" else max(1, 2**21 // math.prod(window))


def too_large(
    images: torch.Tensor,
    where: str,
    device: torch.device,
    fix: str = "Predict in windows: --window 512x512, or inference.window in the plan.",
) -> str:
    """Return the message for an image that does not fit in the device's memory."""
    size = " x ".join(str(s) for s in images.shape[2:])
    return describe(
        f"The image does not fit in the memory of {device} at once",
        where=where,
        found=f"{size} pixels",
        fix=fix,
    )
