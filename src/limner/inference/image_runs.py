"""Running a network on one image, or several of one size: whole or in windows, and in one or several views.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch

from limner.core.errors import DataError
from limner.core.outputs import DenseLogits, OutputKind, Outputs, PixelMaps
from limner.core.plan import InferencePlan
from limner.decoding.label_maps import as_pixel_outputs, semantic_logits
from limner.decoding.network_runs import Box, Tile
from limner.decoding.view_parts import full_box
from limner.inference.sliding_window import each_window, pad_images, sliding_window
from limner.inference.test_time_augmentation import View, views
from limner.inference.view_rules import ViewRules, axis_of_parts, is_too_large, too_large
from limner.weights.model import Model


@dataclass(frozen=True)
class ImageRuns:
    """Runs of the network on one image, for `decoding/`; implements `NetworkRuns`.

    Attributes:
        model: The model on its device, in evaluation mode.
        images: (B, C, *S) input of the network, in file values.
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

    @cached_property
    def rules(self) -> ViewRules:
        """What the network is given of the image."""
        return ViewRules(self.model.plan, self.settings)

    def views(self) -> Iterator["ViewRuns"]:
        """Yield every combination of zoom and mirrored axes, unless windows are mirrored by themselves."""
        return (self.seen_as(view) for view in self.kinds_of_view())

    def seen_as(self, view: View) -> "ViewRuns":
        """Return the runs on one view."""
        return ViewRuns(self, view, view.apply(self.images, smallest=min(self.rules.smallest_input)))

    @property
    def seen_size(self) -> tuple[int, ...]:
        """*S of the network's input, without padding."""
        return tuple(self.images.shape[2:])

    @property
    def has_one_view(self) -> bool:
        """Whether there is only the plain view."""
        first, *others = self.kinds_of_view()
        return first.is_plain and not others

    @property
    def fits_in_one_pass(self) -> bool:
        """Whether there is only the plain view, and it is not resized or is a single part."""
        seen = self.seen_size
        return self.has_one_view and (seen == self.size or self.rules.window(seen) is None)

    @property
    def is_windowed(self) -> bool:
        """Whether `tiles` are windows, not the whole image."""
        return self.rules.window(self.seen_size) is not None

    def whole(self) -> tuple[Outputs, tuple[int, ...]]:
        """Run the network on the whole image, padded if it is smaller than `smallest_input`.

        Raises:
            DataError: The image is too large.
        """
        seen = tuple(self.images.shape[2:])
        if is_too_large(seen):
            raise DataError(
                too_large(seen, self.where, str(self.images.device), fix="Cut the image into tiles.")
            )
        padded = pad_images(self.images, self.rules.smallest_input, self.rules.fill)
        extent = tuple(p * n // s for p, n, s in zip(padded.shape[2:], self.size, seen, strict=True))
        return self.model(padded), extent

    def tiles(self) -> Iterator[Tile]:
        """Yield the outputs of each window, or of the whole image, padded if it is smaller."""
        window = self.rules.window(self.seen_size) or self.seen_size
        least = tuple(max(sides) for sides in zip(window, self.rules.smallest_input, strict=True))
        overlap = self.settings.overlap
        for start, seen in each_window(self.images, window=least, overlap=overlap, fill=self.rules.fill):
            yield Tile(self.model(seen), start, least)

    def kinds_of_view(self) -> Iterator[View]:
        """Yield zoom and mirrored axes of each view."""
        flips = self.settings.flips and not self._mirrors_windows
        return views(scales=self.settings.scales, flips=flips, flip_axes=self.rules.flip_axes)

    def mirrors_of_windows(self) -> tuple[View, ...]:
        """Return the ways in which each window is seen, whose scores are averaged."""
        flips = self.settings.flips and self._mirrors_windows
        return tuple(views(scales=(1.0,), flips=flips, flip_axes=self.rules.flip_axes))

    @property
    def is_volume(self) -> bool:
        """Whether the network has three spatial axes."""
        return self.images.ndim == 5

    @property
    def _mirrors_windows(self) -> bool:
        """Whether views would take too much memory: each has the scores of the whole volume."""
        return self.is_volume and not issubclass(self.kind, PixelMaps)


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
        """Shape (B, C, *S) of the network's input."""
        return self.seen.shape

    @property
    def flipped(self) -> tuple[int, ...]:
        """Mirrored spatial axes, counted from 0."""
        return self.view.flipped

    @property
    def axis(self) -> int:
        """Axis along which `parts` follow each other: of volumes, that across which least is held."""
        size = tuple(self.shape[2:])
        return axis_of_parts(size, self.image.rules.window(size))

    def undo_flip(self, scores: torch.Tensor) -> torch.Tensor:
        """Mirror scores (B, K, *S) back."""
        return self.view.undo_flip(scores)

    def whole(self) -> Outputs:
        """Run the network on the whole view, padded if it is smaller than `smallest_input`."""
        padded = pad_images(self.seen, self.image.rules.smallest_input, self.image.rules.fill)
        outputs: Outputs = self.image.model(padded)
        return outputs

    def parts(self) -> Iterator[tuple[Box, Outputs]]:
        """Yield boxes that do not overlap with the outputs there; without windows one, at any resolution."""
        images, size = self.seen, tuple(self.shape[2:])
        window = self.image.rules.window(size)
        if window is not None:
            for box, maps in sliding_window(
                self._maps,
                images,
                window=window,
                overlap=self.image.settings.overlap,
                windows_at_once=_windows_at_once(window, images.device),
                axis=self.axis,
                fill=self.image.rules.fill,
            ):
                yield box, self._outputs(maps)
            return
        least = self.image.rules.smallest_input
        is_padded = any(side < lowest for side, lowest in zip(size, least, strict=True))
        if not is_padded and len(self.image.mirrors_of_windows()) == 1:
            yield full_box(size), self.image.model(images)
        else:
            maps = self._maps(pad_images(images, least, self.image.rules.fill))
            for axis, length in enumerate(size, start=2):
                maps = maps.narrow(axis, (maps.shape[axis] - length) // 2, length)
            yield full_box(size), self._outputs(maps)

    def _maps(self, images: torch.Tensor) -> torch.Tensor:
        """Return outputs at the size of images (b, C, *S) as one tensor (b, maps, *S), to be blended.

        Mirrored volumes add their logits: averaging probabilities would need those of the whole volume.
        """
        mirrors = self.image.mirrors_of_windows()
        if len(mirrors) == 1:
            return self._maps_of_one(images)
        total = self._maps_of_one(images)
        for mirror in mirrors[1:]:
            total += mirror.undo_flip(self._maps_of_one(mirror.apply(images)))
        return total.div_(len(mirrors))

    def _maps_of_one(self, images: torch.Tensor) -> torch.Tensor:
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
