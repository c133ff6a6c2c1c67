"""Three orthogonal views of a volume in one picture: axial, coronal and sagittal, side by side.

The patient's left is on the right of axial and coronal views, and the head is up, as in radiology.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray
from limner.core.picture import Geometry, Image
from limner.transforms.turn import turn_to

PLANES, AXES = ("axial", "coronal", "sagittal"), ("first axis", "second axis", "third axis")
"""Names of the three views of volumes whose orientation is known, and unknown."""

RADIOLOGICAL = "LPS"
"""Directions of growing columns, rows and slices of axial views: to the patient's left, back and head."""


Cut = tuple[int, int]
"""Axis of a plane in the turned volume, and its place along it."""


class OrthogonalViews:
    """Three planes of a volume: the same ones of its image, its labels and predictions for it.

    Args:
        geometry: Position of the volume; without an affine, the axes are taken as they are stored.
        shape: (D, H, W).
        foreground: (D, H, W); the planes with the most of it are shown, else the middle ones.
    """

    def __init__(
        self, geometry: Geometry, shape: tuple[int, ...], foreground: npt.NDArray[np.bool_] | None = None
    ) -> None:
        self._turn = turn_to(RADIOLOGICAL, geometry.affine)
        steps = geometry.spacing_mm or (1.0, 1.0, 1.0)
        self._spacing = [steps[axis] for axis in self._turn.order]
        self._shape = tuple(shape[axis] for axis in self._turn.order)
        shown = None if foreground is None else self._turn.apply(foreground)
        self.cuts: list[Cut] = [*enumerate(_places(self._shape, shown))]
        self.names = PLANES if geometry.affine is not None else AXES

    def montage(self, foreground: npt.NDArray[np.bool_], most: int) -> list[Cut]:
        """Return slices along the axis of the largest spacing, evenly from end to end of the foreground.

        Args:
            foreground: (D, H, W).
            most: Maximum number of slices.
        """
        axis = max(range(3), key=lambda a: (self._spacing[a], -a))
        others = tuple(a for a in range(3) if a != axis)
        inside = np.flatnonzero(self._turn.apply(foreground).any(axis=others))
        first, last = (inside[0], inside[-1]) if len(inside) else (0, self._shape[axis] - 1)
        places = np.linspace(first, last, min(most, last - first + 1)).round().astype(int)
        return [(axis, place) for place in places.tolist()]

    def stored_place(self, cut: Cut) -> int:
        """Return the place of a plane along its axis as the volume is stored, counted from 0."""
        axis, place = cut
        return self._shape[axis] - 1 - place if axis in self._turn.flipped else place

    def of_image(self, image: Image, cuts: Sequence[Cut] | None = None) -> list[Image]:
        """Return planes (h, w, C) of an image (D, H, W, C), with square pixels; defaults to the views."""
        return self._of(image, cuts, cv2.INTER_LINEAR)

    def of_labels(self, labels: LabelArray, cuts: Sequence[Cut] | None = None) -> list[LabelArray]:
        """Return planes (h, w) of labels (D, H, W); defaults to the views."""
        planes = self._of(labels[..., np.newaxis], cuts, cv2.INTER_NEAREST)
        return [np.ascontiguousarray(plane[..., 0]) for plane in planes]

    def _of(self, array: npt.NDArray[Any], cuts: Sequence[Cut] | None, how: int) -> list[npt.NDArray[Any]]:
        turned = self._turn.apply(array)
        chosen = self.cuts if cuts is None else cuts
        return [_view(turned, axis, place, self._spacing, how) for axis, place in chosen]


def orthogonal_views(
    volume: Image, geometry: Geometry, labels: LabelArray | None = None, *, background: int = 0
) -> tuple[Image, LabelArray | None]:
    """Return three slices of a volume side by side, in true proportions.

    Args:
        volume: (D, H, W, C).
        geometry: Its position; without an affine, the axes are taken as they are stored.
        labels: (D, H, W) trained labels; the slices with the most of them that are not `background` are
            shown, else the middle ones.
        background: Trained index of the background, which also fills gaps.

    Returns:
        (h, w, C) of the type of the volume, and (h, w) labels.
    """
    foreground = None if labels is None else labels != background
    views = OrthogonalViews(geometry, volume.shape[:3], foreground)
    picture = _side_by_side(views.of_image(volume), 0)
    if labels is None:
        return picture, None
    masks = [mask[..., np.newaxis] for mask in views.of_labels(labels)]
    return picture, np.ascontiguousarray(_side_by_side(masks, background)[..., 0])


def _places(shape: Sequence[int], foreground: npt.NDArray[np.bool_] | None) -> list[int]:
    """Return for each axis the slice with the most foreground, or the middle one."""
    if foreground is None or not foreground.any():
        return [side // 2 for side in shape]
    others = [tuple(a for a in range(3) if a != axis) for axis in range(3)]
    return [int(foreground.sum(axis=axes).argmax()) for axes in others]


def _view(
    array: npt.NDArray[Any], axis: int, place: int, spacing: Sequence[float], how: int
) -> npt.NDArray[Any]:
    """Return one slice, (h, w, C), resized to square pixels; the head is up in views along other axes."""
    plane = np.ascontiguousarray(array.take(place, axis))
    rows, columns = (step for a, step in enumerate(spacing) if a != axis)
    plane = plane if axis == 0 else plane[::-1]
    least = min(spacing)
    size = (max(1, round(plane.shape[1] * columns / least)), max(1, round(plane.shape[0] * rows / least)))
    resized = [
        cv2.resize(np.ascontiguousarray(plane[..., c]), size, interpolation=how)
        for c in range(plane.shape[-1])
    ]
    return np.stack(resized, axis=-1)


def _side_by_side(views: Sequence[npt.NDArray[np.generic]], fill: int) -> npt.NDArray[np.generic]:
    height = max(view.shape[0] for view in views)
    padded = [
        np.pad(view, ((0, height - view.shape[0]), (0, 0), (0, 0)), constant_values=fill) for view in views
    ]
    return np.concatenate(padded, axis=1)
