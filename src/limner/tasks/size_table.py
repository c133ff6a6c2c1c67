"""Sizes of what is predicted in volumes: of each class, and of each of its connected parts.

Shape legend: *S spatial axes.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Geometry
from limner.storage.table_cells import cell, csv_text

SIZES = "sizes.csv"
"""Name of the table."""

HEADING = ("image", "class", "part", "voxels", "mm3")

Row = list[str | int | float | None]
"""Image, class, number of the part or an empty text for all of the class, voxels, cubic millimetres."""


def size_rows(name: str, predicted: LabelArray, table: LabelTable, geometry: Geometry) -> list[Row]:
    """Return the sizes of the predicted classes but the background, and of their parts, the largest first.

    Voxels that share a corner are connected.

    Args:
        name: Name of the image.
        predicted: (*S) trained labels.
        table: The classes.
        geometry: Spacing of the voxels; without one, there are no cubic millimetres.
    """
    spacing = geometry.spacing_mm
    one = None if spacing is None else prod(spacing)
    rows: list[Row] = []
    for label, class_name in enumerate(table.names):
        if label == table.background_index:
            continue
        mask = predicted == label
        counts = _part_sizes(mask)
        for part, voxels in enumerate((sum(counts), *counts)):
            volume = None if one is None else round(voxels * one, 3)
            rows.append([cell(name), cell(class_name), part or "", voxels, volume])
    return rows


def table_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return the rows of all images as CSV."""
    return csv_text(chain([HEADING], rows))


def _part_sizes(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> list[int]:
    """Return the number of voxels of each connected part, the largest first."""
    from scipy import ndimage  # prediction of images does without it

    boxes = ndimage.find_objects(mask.view(np.uint8))
    if not boxes:
        return []
    inside = mask[boxes[0]]
    numbers, _ = ndimage.label(inside, ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    return sorted(np.bincount(numbers.ravel())[1:].tolist(), reverse=True)
