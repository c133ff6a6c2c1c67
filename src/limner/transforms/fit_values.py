"""Refusal of images whose pixel type or range of values differs from the training images'."""

import re
from dataclasses import dataclass

import numpy as np

from limner.core.errors import ConfigError, DataError, describe
from limner.core.picture import Image
from limner.core.plan import Plan

ValueRange = tuple[float, float]
"""(low, high) in file values."""

TOO_BRIGHT = 4.0
"""An image is refused if its 99.5th percentile exceeds the training's range by this factor."""

TOO_DARK = 8.0
"""An image is refused if its maximum is below the darkest training image's by this factor."""

MOST_OUTSIDE = 0.01
"""Maximum fraction of values outside a stated range; those are clipped."""


@dataclass(frozen=True)
class TrainedValues:
    """What is known about the values of the training images.

    Attributes:
        dtype: numpy name of the pixel type, or None if unknown.
        is_stated: Whether the plan states the type, rather than that it was derived from the mean.
        value_range: (low, high), or None if unknown.
        smallest_maximum: Smallest maximum of a training image, or None if unknown.
    """

    dtype: str | None
    is_stated: bool
    value_range: ValueRange | None
    smallest_maximum: float | None = None


def trained_values(plan: Plan) -> TrainedValues:
    """Return what a plan states about the values of the training images.

    Plans of older versions do not state it: the type is then taken from the reason of the mean, or derived
    from mean and standard deviation.
    """
    stated = plan.input
    known = stated.dtype or _reported_dtype(plan)
    dtype = known or _likely_dtype(plan)
    value_range = stated.value_range
    if value_range is None and dtype == "uint8":
        value_range = (0.0, 255.0)
    elif value_range is None and _is_within_one(plan):
        value_range = (0.0, 1.0)
    return TrainedValues(dtype, known is not None, value_range, stated.smallest_maximum)


def _reported_dtype(plan: Plan) -> str | None:
    found = re.search(r"training images? \((\w+)\)$", plan.reasons.get("input.mean", ""))
    return found[1] if found else None


def _likely_dtype(plan: Plan) -> str | None:
    if _is_within_one(plan):
        return "float32"
    if min(plan.input.mean) < 0:
        return None
    return "uint8" if max(plan.input.mean) < 256 and max(plan.input.std) < 256 else "uint16"


def _is_within_one(plan: Plan) -> bool:
    """Whether mean and standard deviation are those of values from 0 to 1."""
    means, stds = plan.input.mean, plan.input.std
    return min(means) > 0 and max(means) <= 1 and max(stds) <= 0.5


def fit_values(
    image: Image, plan: Plan, *, where: str, value_range: ValueRange | None = None, stored_dtype: str = ""
) -> Image:
    """Return the image with values like those of the training images.

    Nothing is rescaled unless the user states the image's range; an image of another pixel type or range is
    refused, because a network predicts it wrongly without any sign of it.

    Args:
        image: (*spatial, C), finite.
        plan: The model's plan.
        where: The file, for messages.
        value_range: The image's values from low to high are mapped linearly to the training's range, and the
            result is float32; up to 1 % of the values may be outside and are clipped.
        stored_dtype: Name of the type of the values in the file, for messages, since reading changes most
            types to float32; empty if they are of the type of the image.

    Raises:
        DataError: The image has another pixel type or range than the training images, or more than 1 % of
            its values are outside the stated range.
        ConfigError: The stated range is empty, or the model folder does not state the training's range.
    """
    trained = trained_values(plan)
    if value_range is not None:
        return _rescaled(image, trained, value_range, where, stored_dtype)
    found = _found_words(image, stored_dtype)
    if _is_other_type(image, trained):
        raise _refused("pixel type", found, where, _type_words(trained), trained)
    if image.dtype != np.uint8 and _is_far_off(image, trained):
        raise _refused("range of values", found, where, _values_words(trained), trained)
    return image


def _rescaled(
    image: Image, trained: TrainedValues, stated: ValueRange, where: str, stored_dtype: str
) -> Image:
    if not np.isfinite(stated).all() or stated[0] >= stated[1]:
        raise ConfigError(
            f"The range of values is two numbers, the smaller one first; found {_range_words(stated)}."
        )
    if trained.value_range is None:
        raise ConfigError(
            "The model folder does not state the training's range of values, so that images cannot be mapped "
            "to it. Give the images the training's values, or train again."
        )
    outside = float(((image < stated[0]) | (image > stated[1])).mean())
    if outside > MOST_OUTSIDE:
        raise DataError(
            describe(
                "The image has values outside the stated range",
                where=where,
                found=f"{_found_words(image, stored_dtype)}; {outside:.0%} of them are outside",
                expected=f"values from {_range_words(stated)}",
                fix="State the range of this image's values with --range LOW HIGH.",
            )
        )
    low, high = trained.value_range
    share = (np.clip(image.astype(np.float64), *stated) - stated[0]) / (stated[1] - stated[0])
    scaled: Image = (low + share * (high - low)).astype(np.float32)
    return scaled


def _is_other_type(image: Image, trained: TrainedValues) -> bool:
    """Whether the type is not the training's; if that is only likely, whether the values confirm it."""
    if trained.dtype is None or _kind(image.dtype) == _kind(np.dtype(trained.dtype)):
        return False
    if trained.is_stated or trained.value_range is None:
        return True
    largest, high = float(image.max()), trained.value_range[1]
    return largest > TOO_BRIGHT * high or largest * TOO_DARK < high


def _is_far_off(image: Image, trained: TrainedValues) -> bool:
    """Whether values of the trained type are on another scale; images of one value are accepted."""
    largest = float(image.max())
    if largest == float(image.min()):
        return False
    high = None if trained.value_range is None else trained.value_range[1]
    if high is not None and high > 0 and largest > TOO_BRIGHT * high:
        return float(np.percentile(image, 99.5)) > TOO_BRIGHT * high
    darkest = trained.smallest_maximum
    return darkest is not None and darkest > 0 and largest * TOO_DARK < darkest


def _refused(what: str, found: str, where: str, expected: str, trained: TrainedValues) -> DataError:
    fix = "Save the image like the training images"
    if trained.value_range is not None:
        fix += (
            ", or state the range of its values with --range LOW HIGH (in Python: value_range), which is "
            f"mapped to the training's {_range_words(trained.value_range)}"
        )
    return DataError(
        describe(
            f"The image has another {what} than the training images",
            where=where,
            found=found,
            expected=expected,
            fix=f"{fix}.",
        )
    )


def _kind(dtype: np.dtype[np.generic]) -> str:
    """Return the name of the pixel types that can have the same values."""
    if dtype.kind in "ui":
        return dtype.name if dtype.itemsize == 1 else "integers of more than 8 bits"
    return "floating-point numbers" if dtype.kind == "f" else dtype.name


def _found_words(image: Image, stored_dtype: str) -> str:
    name = image.dtype.name
    if stored_dtype not in ("", name):
        name = f"{stored_dtype}, read as {name},"
    return f"{name} with values from {image.min():g} to {image.max():g}"


def _type_words(trained: TrainedValues) -> str:
    values = trained.value_range
    name = trained.dtype or "the training's values"
    return name if values is None else f"{name} with values from {_range_words(values)}"


def _values_words(trained: TrainedValues) -> str:
    """Return the values of the training images, without their type: volumes are read as float32 from any."""
    if trained.value_range is not None:
        return f"values from {_range_words(trained.value_range)}"
    assert trained.smallest_maximum is not None, "nothing that values could be far off from"
    return f"a largest value of at least {trained.smallest_maximum / TOO_DARK:g}"


def _range_words(values: ValueRange) -> str:
    return f"{values[0]:g} to {values[1]:g}"
