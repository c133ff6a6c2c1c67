"""What a network is given of an image: minimum size, windows, padding and views.

Shape legend: *S spatial axes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from limner.core.errors import describe
from limner.core.plan import InferencePlan, Plan
from limner.core.wording import element

SMALLEST_INPUT = 33
"""Minimum input size of networks; smaller images are padded by reflection."""

WHOLE_IMAGE_PIXELS = 2**24
"""Maximum number of pixels without windows, whatever the plan: 4096 x 4096, or 256 x 256 x 256."""


@dataclass(frozen=True)
class ViewRules:
    """The rules of a model, for `ImageRuns` and `ImageArrayRuns`.

    Attributes:
        plan: Plan of the model.
        settings: Window, overlap, flips and scales.
    """

    plan: Plan
    settings: InferencePlan

    @property
    def smallest_input(self) -> tuple[int, ...]:
        """Minimum size of what the network is given: crops on which it was trained fit."""
        return tuple(min(SMALLEST_INPUT, side) for side in self.plan.input.crop_size)

    @property
    def fill(self) -> Sequence[float] | None:
        """Value of padding in each channel, or None for reflection."""
        return self.plan.fill_for(self.settings)

    @property
    def flip_axes(self) -> tuple[int, ...]:
        """Axes that may be mirrored: those that were mirrored in training."""
        return self.plan.augment.flip_axes

    def window(self, size: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the window for images of a size *S, or None for whole images."""
        if self.settings.window is not None:
            return tuple(max(s) for s in zip(self.settings.window, self.smallest_input, strict=True))
        if not is_too_large(size):
            return None
        least = 1024 if len(size) == 2 else 96
        return tuple(max(side, least) for side in self.plan.input.crop_size)


def is_too_large(size: Sequence[int]) -> bool:
    """Return whether an image of a size *S is only predicted in windows."""
    return math.prod(size) > WHOLE_IMAGE_PIXELS


def axis_of_parts(size: tuple[int, ...], window: tuple[int, ...] | None) -> int:
    """Return the axis along which windows follow each other: of volumes, that across which least is held."""
    if window is None or len(size) == 2:
        return 0
    held = [min(w, s) * math.prod(size) / s for w, s in zip(window, size, strict=True)]
    return held.index(min(held))


WINDOWS = (
    "Predict in windows: --window 512x512 (96x96x96 if the network is three-dimensional), or "
    "inference.window in the plan."
)
"""What to do about images that are too large for the memory."""


def too_large(size: tuple[int, ...], where: str, device: str, *, fix: str = WINDOWS) -> str:
    """Return the error message for an image that does not fit in the device's memory."""
    return describe(
        f"The {'image' if len(size) == 2 else 'volume'} does not fit in the memory of {device} at once",
        where=where,
        found=f"{' x '.join(map(str, size))} {element(len(size))}s",
        fix=fix,
    )
