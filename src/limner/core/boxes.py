"""Boxes: the axis-aligned boxes of one image, on the CPU.

Shape legend: N boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Boxes:
    """The boxes of one image; N may be 0.

    Attributes:
        xyxy: (N, 4) float32: left, top, right, bottom in pixels. Pixel (0, 0) covers 0 to 1, so
            that a box of one pixel is 1 wide.
        labels: (N,) int64: trained labels 0..K-1, or mask values before they are translated.
        is_crowd: (N,) bool: a box around many objects that nobody told apart.
        is_difficult: (N,) bool: an object that its annotators would not count against anybody who misses it.
        spatial_shape: (H, W) of the image.
    """

    xyxy: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    is_crowd: npt.NDArray[np.bool_]
    is_difficult: npt.NDArray[np.bool_]
    spatial_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        assert self.xyxy.shape == (len(self.labels), 4), (self.xyxy.shape, self.labels.shape)
        assert self.labels.shape == self.is_crowd.shape == self.is_difficult.shape

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def areas(self) -> npt.NDArray[np.float32]:
        """(N,) square pixels of each box."""
        sides = np.maximum(self.xyxy[:, 2:] - self.xyxy[:, :2], 0)
        return np.asarray(sides[:, 0] * sides[:, 1], np.float32)

    def select(self, wanted: npt.NDArray[np.bool_]) -> "Boxes":
        """Return those of the boxes that are `wanted`, (N,), in their order."""
        return replace(
            self,
            xyxy=self.xyxy[wanted],
            labels=self.labels[wanted],
            is_crowd=self.is_crowd[wanted],
            is_difficult=self.is_difficult[wanted],
        )


def boxes_of(
    xyxy: Sequence[Sequence[float]],
    labels: Sequence[int],
    is_crowd: Sequence[bool] | None = None,
    is_difficult: Sequence[bool] | None = None,
    *,
    shape: tuple[int, ...],
) -> Boxes:
    """Take plain lists as boxes.

    Args:
        xyxy: N of [left, top, right, bottom] in pixels.
        labels: Of each.
        is_crowd: Of each; None where nothing is a crowd.
        is_difficult: Of each; None where nothing is.
        shape: (H, W) of the image.
    """
    none = [False] * len(labels)
    return Boxes(
        np.asarray(xyxy, np.float32).reshape(-1, 4),
        np.asarray(labels, np.int64),
        np.asarray(none if is_crowd is None else is_crowd, bool),
        np.asarray(none if is_difficult is None else is_difficult, bool),
        tuple(shape),
    )
