"""A volume with its labels as the web page shows it: small enough to be sent, and turned as in radiology.

Shape legend: D, H, W axes of the shown volume: slices, rows, columns.
"""

import base64
import gzip
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Picture
from limner.drawing.display import display_image
from limner.transforms.orthogonal_views import AXES, PLANES, RADIOLOGICAL
from limner.transforms.turn import turn_to

MOST_VOXELS = 2**23
"""About the most voxels of a shown volume, as of 256 x 256 x 128; of larger ones some are left out."""


def shown_volume(picture: Picture, labels: LabelArray, table: LabelTable) -> dict[str, Any]:
    """Return a volume in 8 bits and its labels, as JSON-ready values; arrays are packed with gzip and base64.

    Args:
        picture: (D, H, W, C).
        labels: (D, H, W) trained labels.
        table: The classes.

    Returns:
        ``size``: D, H, W of the arrays; ``full_size`` before voxels were left out. ``spacing``: distances of
        voxels along the same axes, relative to each other. ``planes``: name of the plane across each axis.
        ``start``: the place on each axis with the most foreground. ``image``: uint8 (D, H, W, `channels`).
        ``labels``: uint16 (D, H, W), little-endian: number of the class + 1, and 0 for none.
    """
    turn = turn_to(RADIOLOGICAL, picture.geometry.affine)
    image, found = turn.apply(picture.array), turn.apply(labels)
    full_size = found.shape
    step = max(1, math.ceil((math.prod(full_size) / MOST_VOXELS) ** (1 / 3)))
    image, found = (array[::step, ::step, ::step] for array in (image, found))
    channels = 3 if image.shape[-1] >= 3 else 1
    flat = image.reshape(-1, *image.shape[2:])
    shown = display_image(flat)[..., :channels]
    classes = np.where(found == table.ignore_index, 0, found.astype("<u2") + 1).astype("<u2")
    steps = picture.geometry.spacing_mm or (1.0, 1.0, 1.0)
    return {
        "size": list(found.shape),
        "full_size": list(full_size),
        "spacing": [steps[axis] for axis in turn.order],
        "planes": list(PLANES if picture.geometry.affine is not None else AXES),
        "start": _fullest(found, table),
        "channels": channels,
        "image": _packed(shown),
        "labels": _packed(classes),
    }


def _fullest(labels: LabelArray, table: LabelTable) -> list[int]:
    """Return the place on each axis with the most foreground, or the middle."""
    foreground = (labels != table.ignore_index) & (labels != (table.background_index or 0))
    if not foreground.any():
        return [side // 2 for side in labels.shape]
    others = [tuple(other for other in range(3) if other != axis) for axis in range(3)]
    return [int(foreground.sum(axis=axes).argmax()) for axes in others]


def _packed(array: npt.NDArray[Any]) -> str:
    """Return the bytes of an array, packed quickly rather than tightly."""
    return base64.b64encode(gzip.compress(np.ascontiguousarray(array).tobytes(), 1)).decode()
