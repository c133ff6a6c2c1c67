"""What the low-resolution stage of a cascade predicts, on the grid of the stage that follows.

Shape legend: *S spatial axes (D, H, W).
"""

import numpy as np

from limner.core.labels import LabelArray
from limner.core.picture import Geometry
from limner.core.plan import InputPlan
from limner.transforms.resample_volume import resample_labels, seen_shape, thick_axis
from limner.transforms.turn import turn_to


def as_seen(labels: LabelArray, geometry: Geometry, plan: InputPlan, *, where: str) -> LabelArray:
    """Turn and resample what the first stage predicted, as the second stage sees volumes.

    Args:
        labels: (*S) trained labels, on the grid of the file.
        geometry: Position of its voxels.
        plan: The input of the second stage.
        where: The file, for messages.

    Returns:
        (*S) trained labels, in the orientation and spacing of `plan`.

    Raises:
        DataError: The spacing of the file is unknown, or would make it too large.
    """
    turn = turn_to(plan.orientation, geometry.affine)
    turned = np.ascontiguousarray(turn.apply(labels))
    before = geometry.spacing_mm and tuple(geometry.spacing_mm[axis] for axis in turn.order)
    shape = tuple(turned.shape)
    seen = seen_shape(shape, before, plan, where=where)
    if before is None or seen == shape:
        return turned
    after = tuple(step * old / new for step, old, new in zip(before, shape, seen, strict=True))
    return resample_labels(turned, seen, thick=thick_axis(before, after))
