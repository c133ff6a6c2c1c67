"""Three orthogonal views of a volume in one picture: axial, coronal and sagittal, side by side.

The patient's left is on the right of axial and coronal views, and the head is up, as in radiology.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray
from limner.core.picture import Geometry, Image
from limner.transforms.turn import turn_to

RADIOLOGICAL = "LPS"
"""Directions of growing columns, rows and slices of axial views: to the patient's left, back and head."""


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
    turn = turn_to(RADIOLOGICAL, geometry.affine)
    steps = geometry.spacing_mm or (1.0, 1.0, 1.0)
    spacing = [steps[axis] for axis in turn.order]
    image = turn.apply(volume)
    shown = None if labels is None else turn.apply(labels)
    places = _places(image.shape[:3], None if shown is None else shown != background)
    views = [_view(image, axis, places, spacing, cv2.INTER_LINEAR) for axis in range(3)]
    picture = _side_by_side(views, 0)
    if shown is None:
        return picture, None
    masks = [_view(shown[..., np.newaxis], axis, places, spacing, cv2.INTER_NEAREST) for axis in range(3)]
    return picture, np.ascontiguousarray(_side_by_side(masks, background)[..., 0])


def _places(shape: Sequence[int], foreground: npt.NDArray[np.bool_] | None) -> list[int]:
    """Return for each axis the slice with the most foreground, or the middle one."""
    if foreground is None or not foreground.any():
        return [side // 2 for side in shape]
    others = [tuple(a for a in range(3) if a != axis) for axis in range(3)]
    return [int(foreground.sum(axis=axes).argmax()) for axes in others]


def _view(
    array: npt.NDArray[np.generic], axis: int, places: Sequence[int], spacing: Sequence[float], how: int
) -> npt.NDArray[np.generic]:
    """Return one slice, (h, w, C), resized to square pixels; the head is up in views along other axes."""
    plane = np.ascontiguousarray(array.take(places[axis], axis))
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
