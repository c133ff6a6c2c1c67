"""Prediction of volumes slice by slice, with a network in two dimensions."""

from collections.abc import Callable, Iterator

from limner.core.errors import DataError, describe
from limner.core.picture import Image
from limner.core.plan import InputPlan
from limner.core.prediction import Prediction
from limner.transforms.slices import slice_of


def predicted_slices(
    volume: Image, plan: InputPlan, predict: Callable[[Image, str], Prediction], *, where: str
) -> Iterator[Prediction]:
    """Yield the prediction of each slice of a volume.

    Args:
        volume: (D, H, W, C) in the training's orientation.
        plan: The input of the network, with a `slice_axis`.
        predict: Predicts a slice (H, W, C), given a name.
        where: The file, for messages.

    Raises:
        DataError: The volume has no voxels, or other channels than the training's.
    """
    axis, neighbours = plan.slice_axis, plan.slice_neighbours or 0
    assert axis is not None, "only such plans predict slices"
    channels = plan.channels // (2 * neighbours + 1)
    if volume.ndim != 4 or volume.shape[-1] != channels or volume.size == 0:
        raise DataError(
            describe(
                "The volume does not have the axes or channels that the network expects",
                where=where,
                found=f"shape {volume.shape}",
                expected=f"3 spatial axes, then {channels} channel{'s' * (channels > 1)}",
            )
        )
    for place in range(volume.shape[axis]):
        yield predict(slice_of(volume, axis, place, neighbours), f"{where}, slice {place}")
