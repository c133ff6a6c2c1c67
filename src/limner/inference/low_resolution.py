"""What the low-resolution stage of a cascade predicts, on the grid of the stage that follows.

Shape legend: *S spatial axes (D, H, W).
"""

from typing import TYPE_CHECKING

import numpy as np

from limner.core.labels import LabelArray
from limner.core.picture import Geometry, Image
from limner.core.plan import InputPlan
from limner.transforms.resample_volume import resample_labels, seen_shape, thick_axis
from limner.transforms.turn import turn_to

if TYPE_CHECKING:
    from limner.inference.predictor import Predictor


def predict_low_resolution(
    stage: "Predictor", image: Image, geometry: Geometry, plan: InputPlan, *, where: str
) -> LabelArray:
    """Predict a volume with the first stage, and resample what it finds as the second stage sees volumes.

    Args:
        stage: The low-resolution stage.
        image: (*S, C) in file values.
        geometry: Position of its voxels.
        plan: The input of the second stage.
        where: The file, for messages.

    Returns:
        (*S) trained labels, in the orientation and spacing of `plan`.

    Raises:
        DataError: The volume does not match the model's input.
    """
    found = stage.predict(image, name=where, geometry=geometry).semantic
    turn = turn_to(plan.orientation, geometry.affine)
    labels = np.ascontiguousarray(turn.apply(found))
    before = geometry.spacing_mm and tuple(geometry.spacing_mm[axis] for axis in turn.order)
    shape = tuple(labels.shape)
    seen = seen_shape(shape, before, plan, where=where)
    if before is None or seen == shape:
        return labels
    after = tuple(step * old / new for step, old, new in zip(before, shape, seen, strict=True))
    return resample_labels(labels, seen, thick=thick_axis(before, after))
