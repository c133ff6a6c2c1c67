"""Labels of volumes on the grid of their image, as `label_grid` in `dataset.yaml` says."""

from collections.abc import Callable

import numpy as np

from limner.core.affine import grid_difference
from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.labels import ValueMap
from limner.core.picture import Geometry
from limner.core.sample import Record
from limner.images.pixels import read_header
from limner.images.volumes.resampling import on_other_grid

Grid = tuple[tuple[int, ...], Geometry]
"""Shape (D, H, W) and position of a volume."""


def on_image_grid(
    record: Record, settings: DatasetFile, read: Callable[[], ValueMap], *, grid: Grid | None = None
) -> ValueMap:
    """Return the labels that `read` gives, moved to the grid of their image if `label_grid` asks for it.

    Args:
        record: The image and its labels.
        settings: `dataset.yaml`.
        read: Reads the labels as they are stored.
        grid: The grid of the image, if its first file does not state it.

    Raises:
        DataError: A file cannot be read, or image or label have no affine by which to resample.
    """
    values = read()
    if settings.label_grid != "resample" or values.ndim != 3:
        return values
    if grid is None:
        header = read_header(record.image)
        grid = header.shape, header.geometry
    (shape, geometry), label = grid, read_header(record.labels[0])
    if shape == values.shape and not grid_difference(geometry, label.geometry, shape):
        return values
    target, source = geometry.affine, label.geometry.affine
    if target is None or source is None:
        raise DataError(
            describe(
                "The labels cannot be moved to the grid of their image",
                where=record.labels[0],
                found=f"no affine in {record.image if target is None else record.labels[0]}",
                expected="an affine in both files, since dataset.yaml has `label_grid: resample`",
                fix="Save the label on the grid of its image.",
            )
        )
    return np.asarray(on_other_grid(values, source, target, shape))
