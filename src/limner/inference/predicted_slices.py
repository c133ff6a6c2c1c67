"""Prediction of volumes slice by slice, with a network in two dimensions."""

from collections.abc import Callable, Iterator

from limner.core.picture import Image
from limner.core.plan import InputPlan
from limner.core.prediction import Prediction
from limner.transforms.slices import slice_of


def input_of_images(plan: InputPlan) -> InputPlan:
    """Return the input of a network as images have it: of slices, the axes and channels of their volumes."""
    if plan.slice_axis is None:
        return plan
    channels = plan.channels // (2 * (plan.slice_neighbours or 0) + 1)
    return plan.model_copy(update={"spatial_dims": 3, "channels": channels})


def predicted_slices(
    volume: Image, plan: InputPlan, predict: Callable[[Image, str], Prediction], *, where: str
) -> Iterator[Prediction]:
    """Yield the prediction of each slice of a volume.

    Args:
        volume: (D, H, W, C) in the training's orientation and values.
        plan: The input of the network, with a `slice_axis`.
        predict: Predicts a slice (H, W, C), given a name.
        where: The file, for messages.
    """
    axis = plan.slice_axis
    assert axis is not None, "only such plans predict slices"
    for place in range(volume.shape[axis]):
        yield predict(slice_of(volume, axis, place, plan.slice_neighbours or 0), f"{where}, slice {place}")
