"""Removal of all but the largest connected part of a class, which in anatomy is often the only true one.

Shape legend: *S spatial axes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from limner.core.errors import ConfigError, UnknownNameError
from limner.core.labels import LabelArray, LabelTable
from limner.core.plan import InferencePlan


def component_classes(names: Sequence[str], labels: LabelTable) -> tuple[int, ...]:
    """Return the trained labels of the classes with these names.

    Raises:
        UnknownNameError: There is no such class.
        ConfigError: One is the background; or there is none, which removed parts would become.
    """
    background = labels.background_index
    for name in names:
        if name not in labels.names:
            raise UnknownNameError("class", name, labels.names)
        if background is None:
            raise ConfigError(
                "inference.largest_component needs a class named background, which removed parts become. "
                "Set inference.largest_component=[]."
            )
        if name == labels.names[background]:
            raise ConfigError(
                f"inference.largest_component: removed parts become {name}, so {name} cannot be listed."
            )
    return tuple(labels.names.index(name) for name in names)


def without_small_parts(found: LabelArray, settings: InferencePlan, labels: LabelTable) -> LabelArray:
    """Keep the largest part alone of the classes for which the settings say so."""
    cleaned = component_classes(settings.largest_component or (), labels)
    if not cleaned:
        return found
    assert labels.background_index is not None, "such settings are refused"
    return keep_largest(found, cleaned, background=labels.background_index)


def keep_largest(predicted: LabelArray, classes: Sequence[int], *, background: int) -> LabelArray:
    """Return a label map in which only the largest connected part of each class is left.

    Pixels that share a corner are connected. Of equally large parts, the first one stays.

    Args:
        predicted: (*S) trained labels.
        classes: The classes to which this applies.
        background: What removed parts become.
    """
    result = predicted
    for label in classes:
        removed = _beside_largest(predicted == label)
        if removed is not None:
            result = predicted.copy() if result is predicted else result
            box, mask = removed
            result[box][mask] = background
    return result


def _beside_largest(
    mask: npt.NDArray[np.bool_],
) -> tuple[tuple[slice, ...], npt.NDArray[np.bool_]] | None:
    """Return the box around a mask, and in it what is not in the largest part; None if there is one part."""
    from scipy import ndimage  # prediction of images does without it

    boxes = ndimage.find_objects(mask.view(np.uint8))
    if not boxes:
        return None
    box: tuple[slice, ...] = boxes[0]
    numbers, count = ndimage.label(mask[box], ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    if count < 2:
        return None
    sizes = np.bincount(numbers.ravel())
    largest = int(sizes[1:].argmax()) + 1
    return box, (numbers > 0) & (numbers != largest)
