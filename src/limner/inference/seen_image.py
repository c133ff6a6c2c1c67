"""Images as a network sees them: with its channels, range of values, orientation and spacing.

Shape legend: C channels, *S spatial axes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from limner.core.errors import ConfigError
from limner.core.picture import Geometry, Image, Picture
from limner.core.plan import InferencePlan, InputPlan, Plan
from limner.images.file_names import image_stem
from limner.images.pixels import Reduce
from limner.images.read_image import read_image
from limner.transforms.clip_values import clip_values
from limner.transforms.fit_channels import fit_channels
from limner.transforms.fit_values import ValueRange, fit_values
from limner.transforms.normalize_each import normalize_each
from limner.transforms.resample_volume import resample_as_seen
from limner.transforms.turn import UNTURNED, Turn, turn_to


@dataclass(frozen=True)
class SeenImage:
    """An image as the network sees it, before it is cut to windows or slices.

    Attributes:
        values: (*S, C) of a volume in the training's orientation and spacing.
        size: Size of the image in the training's orientation, at its own spacing, as in its file.
        turn: The change of orientation.
        where: The file, for messages.
        reduction: As of `Picture`: `size` is so many times that of `values`.
    """

    values: Image
    size: tuple[int, ...]
    turn: Turn
    where: str
    reduction: int = 1


class GivenImage(NamedTuple):
    """What a predictor was given.

    Attributes:
        array: (*spatial, C) or (*spatial) in file values.
        geometry: Position of its voxels.
        reduction: As of `Picture`.
        where: The file, for messages.
        name: Name of the prediction.
        stored_dtype: Name of the type of its values in the file, or empty if unknown.
    """

    array: Image
    geometry: Geometry
    reduction: int
    where: str
    name: str
    stored_dtype: str


def given_image(
    image: Image | Picture | Path | str,
    geometry: Geometry,
    name: str | None,
    stored_dtype: str,
    reduce: Reduce | None,
) -> GivenImage:
    """Return an array or a picture as it is, or read a file.

    Args:
        image: As in `Predictor.predict`.
        geometry: Position of an array; pictures and files have their own.
        name: Name of the prediction; by default the file's without suffix.
        stored_dtype: Type of the values of an array in its file; pictures and files have their own.
        reduce: As of `read_image`.

    Raises:
        DataError: The file cannot be read.
    """
    if isinstance(image, (str, Path)):
        path = Path(image)
        picture = read_image(path, reduce=reduce)
        where, name = str(path), name or image_stem(path.name)
    else:
        where, name = name or "the image", name or "image"
        if not isinstance(image, Picture):
            return GivenImage(np.asarray(image), geometry, 1, where, name, stored_dtype)
        picture = image
    return GivenImage(picture.array, picture.geometry, picture.reduction, where, name, picture.stored_dtype)


def refuse_other_window(settings: InferencePlan, plan: Plan) -> None:
    """Reject a window of other dimensions than the model's.

    Raises:
        ConfigError: It has too few or too many sizes.
    """
    dims = plan.input.spatial_dims
    if settings.window is not None and len(settings.window) != dims:
        raise ConfigError(f"A window needs {dims} sizes, one per axis; found {settings.window}.")


def seen_image(
    image: Image,
    plan: Plan,
    *,
    geometry: Geometry,
    value_range: ValueRange | None,
    where: str,
    stored_dtype: str = "",
    reduction: int = 1,
) -> SeenImage:
    """Return an image as the network sees it; volumes are turned, normalised or clipped, and resampled.

    Args:
        image: (*spatial, C) or (*spatial) in file values.
        plan: Plan of the model.
        geometry: Position of its voxels.
        value_range: Range of the images' values, if stated.
        where: The file, for messages.
        stored_dtype: As of `fit_values`.
        reduction: As of `Picture`, of the image.

    Raises:
        DataError: The image does not match the model's input.
    """
    is_volume = image.ndim == 4
    turn = turn_to(plan.input.orientation, geometry.affine) if is_volume else UNTURNED
    turned = np.ascontiguousarray(turn.apply(image)) if turn != UNTURNED else image
    fitted = fitted_image(turned, plan, value_range=value_range, where=where, stored_dtype=stored_dtype)
    size = tuple(side * reduction for side in fitted.shape[:-1])
    steps = geometry.spacing_mm if is_volume else None
    before = steps and tuple(steps[axis] for axis in turn.order)
    if len(size) == 3:
        fitted, _, _ = resample_as_seen(fitted, before, plan.input, where=where)
    return SeenImage(fitted, size, turn, where, reduction)


def fitted_image(
    image: Image, plan: Plan, *, value_range: ValueRange | None, where: str, stored_dtype: str = ""
) -> Image:
    """Return an image (*spatial, C) with the model's channels and the training's range of values.

    Args:
        image: (*spatial, C) or (*spatial) in file values.
        plan: Plan of the model.
        value_range: Range of the images' values, if stated.
        where: The file, for messages.
        stored_dtype: As of `fit_values`.

    Raises:
        DataError: Dimensions, channels, pixel type or range do not match the training's.
    """
    fitted = fit_channels(image, input_of_images(plan.input), where=where)
    if plan.input.normalize_each:
        return normalize_each(fitted, plan.input.normalize_over)
    values = fit_values(fitted, plan, where=where, value_range=value_range, stored_dtype=stored_dtype)
    return clip_values(values, plan.input.clip)


def input_of_images(plan: InputPlan) -> InputPlan:
    """Return the input of a network as images have it: of slices, the axes and channels of their volumes."""
    if plan.slice_axis is None:
        return plan
    channels = plan.channels // (2 * (plan.slice_neighbours or 0) + 1)
    return plan.model_copy(update={"spatial_dims": 3, "channels": channels})
