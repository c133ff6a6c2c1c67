"""Traits of the objects of one image that not every format can hold."""

from collections.abc import Sequence

import cv2
import numpy as np

from limner.core.segments import Mask
from limner.formats.drawn import Drawn

OBJECT_TRAITS = frozenset(
    {"masks", "boxes", "holes", "several-parts", "overlaps", "crowd", "difficult", "ignored"}
)
"""The traits of a dataset that its objects have."""


def traits_of(objects: Sequence[Drawn], size: tuple[int, int], *, ignored: int) -> set[str]:
    """Return the traits that at least one object has.

    Args:
        objects: Of one image, with trained labels.
        size: (H, W).
        ignored: The trained label of regions that are ignored.
    """
    found: set[str] = set()
    covered: Mask = np.zeros(size, bool)
    for one in objects:
        found |= {"crowd"} if one.is_crowd else set()
        found |= {"difficult"} if one.is_difficult else set()
        found |= {"ignored"} if one.value == ignored else set()
        if one.is_box_only:
            found.add("boxes")
            continue
        mask = one.mask(*size)
        found |= {"masks", *_of_mask(mask)}
        found |= {"overlaps"} if (covered & mask).any() else set()
        covered |= mask
    return found


def _of_mask(mask: Mask) -> set[str]:
    # Pixels that touch by a corner are two parts, as their outlines are; what surrounds them is then one.
    parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
    around = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    outside = cv2.connectedComponents(around, connectivity=8)[0] - 1
    return {name for name, there in (("several-parts", parts > 1), ("holes", outside > 1)) if there}
