"""Prediction of volumes slice by slice, with a network in two dimensions.

Shape legend: B batch of slices, C channels, K classes, *S axes of a volume, *s axes of a slice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from limner.core.outputs import DenseLogits, OutputKind, Outputs
from limner.core.picture import Image
from limner.core.plan import InferencePlan, InputPlan
from limner.decoding.label_maps import view_logits
from limner.decoding.network_runs import Box, Tile
from limner.inference.image_runs import ImageRuns
from limner.inference.test_time_augmentation import View
from limner.transforms.slices import slice_of

PIXELS_AT_ONCE = 2**18
"""Number of pixels of slices in a batch on a CPU: 4 slices of 256 x 256, and more of smaller ones. Larger
batches do not fit in its cache."""

PIXELS_AT_ONCE_ACCELERATOR = 2**22


@dataclass(frozen=True)
class SliceRuns:
    """Runs of a network in two dimensions on a volume, for `decoding/`; implements `NetworkRuns`.

    Attributes:
        volume: (*S, C) in the training's orientation and values.
        size: *S of the prediction; differs from that of `volume` if this was resampled.
        plan: The input of the network, with a `slice_axis`.
        runs_of: Returns the runs on a batch of slices (B, *s, C), given their names for messages.
        where: The file, for messages.
        device: Device of the network.
    """

    volume: Image
    size: tuple[int, ...]
    plan: InputPlan
    runs_of: Callable[[Image, str], ImageRuns]
    where: str
    device: torch.device

    def views(self) -> Iterator["SliceView"]:
        """Yield the volume with every combination of zoom and mirrored axes of its slices."""
        return (SliceView(self, view) for view in self._first.kinds_of_view())

    @property
    def kind(self) -> OutputKind:
        """Kind of output of the network."""
        return self._first.kind

    @property
    def settings(self) -> InferencePlan:
        """The settings of the prediction."""
        return self._first.settings

    @property
    def seen_size(self) -> tuple[int, ...]:
        """*S of the volume that is cut."""
        return tuple(self.volume.shape[:3])

    @property
    def has_one_view(self) -> bool:
        """Whether the slices are seen in the plain view only."""
        return self._first.has_one_view

    @property
    def fits_in_one_pass(self) -> bool:
        """Whether there is one view only, whose parts are those of the volume."""
        return self.has_one_view and self.seen_size == self.size

    @property
    def is_windowed(self) -> bool:
        """Whether slices are seen in windows."""
        return self._first.is_windowed

    def whole(self) -> tuple[Outputs, tuple[int, ...]]:
        """Not for slices: tasks that put them together take `views`."""
        raise NotImplementedError("slices have no outputs of the whole volume")

    def tiles(self) -> Iterator[Tile]:
        """Not for slices: tasks that put them together take `views`."""
        raise NotImplementedError("slices have no outputs of the whole volume")

    @property
    def axis(self) -> int:
        """Axis along which the volume is cut."""
        assert self.plan.slice_axis is not None, "only such plans predict slices"
        return self.plan.slice_axis

    def batches(self) -> Iterator[tuple[slice, ImageRuns]]:
        """Yield places on the axis, and the runs on the slices there."""
        length = self.volume.shape[self.axis]
        pixels = self.volume[..., 0].size // length
        limit = PIXELS_AT_ONCE if self.device.type == "cpu" else PIXELS_AT_ONCE_ACCELERATOR
        step = max(1, limit // pixels)
        for start in range(0, length, step):
            places = range(start, min(start + step, length))
            yield slice(places.start, places.stop), self._runs_on(places)

    @cached_property
    def _first(self) -> ImageRuns:
        return self._runs_on(range(1))

    def _runs_on(self, places: range) -> ImageRuns:
        neighbours = self.plan.slice_neighbours or 0
        slices = np.stack([slice_of(self.volume, self.axis, place, neighbours) for place in places])
        return self.runs_of(slices, f"{self.where}, slice {places.start}")


@dataclass(frozen=True)
class SliceView:
    """A volume whose slices are seen in one view; its outputs are mirrored back.

    Attributes:
        volume: The volume.
        view: Zoom and mirrored axes of each slice.
    """

    volume: SliceRuns
    view: View

    @property
    def shape(self) -> torch.Size:
        """Shape (1, C, *S) of the volume that is cut."""
        *size, channels = self.volume.volume.shape
        return torch.Size((1, channels, *size))

    @property
    def flipped(self) -> tuple[int, ...]:
        """None, since each batch is mirrored back."""
        return ()

    @property
    def axis(self) -> int:
        """Axis along which the volume is cut."""
        return self.volume.axis

    def undo_flip(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores as they are."""
        return scores

    def whole(self) -> Outputs:
        """Not for slices: tasks that put them together take `parts`."""
        raise NotImplementedError("slices have no outputs of the whole volume")

    def parts(self) -> Iterator[tuple[Box, Outputs]]:
        """Yield batches of slices as parts of the volume."""
        size, axis = self.volume.seen_size, self.axis
        for places, runs in self.volume.batches():
            logits = view_logits(runs.seen_as(self.view), runs.size)  # (B, K, *s)
            box = tuple(places if a == axis else slice(0, side) for a, side in enumerate(size))
            yield box, DenseLogits(logits.movedim(0, 1).movedim(1, axis + 1).unsqueeze(0))
