"""Memory for the probabilities of each class at each pixel, which outgrow that of a machine.

A CT of 512 x 512 x 400 voxels with 20 classes has 8 GB of them in float32.

Shape legend: K classes, *S spatial axes.
"""

import os
import tempfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray, label_dtype
from limner.storage.disk_problems import write_errors_for

Probabilities = npt.NDArray[np.floating[Any]]
"""(K, *S) that sum to 1 over K."""

MOST_BYTES = 2**31
"""Memory for the probabilities of one volume: 2 GiB. More of them are float16, then in a temporary file."""


def empty_probabilities(num_classes: int, size: tuple[int, ...]) -> Probabilities:
    """Return an array (K, *S) to be filled: float32 of images, and of volumes within `MOST_BYTES`.

    Those of larger volumes are float16, which is exact to 0.0005. If these exceed the limit too, they are
    mapped from a file in the folder for temporary files (``TMPDIR``), which is deleted once nothing uses it.

    Raises:
        WriteError: The disk of that folder is full.
    """
    shape = (num_classes, *size)
    if len(size) == 2 or 4 * prod(shape) <= MOST_BYTES:
        return np.empty(shape, np.float32)
    if 2 * prod(shape) <= MOST_BYTES:
        return np.empty(shape, np.float16)
    with write_errors_for(Path(tempfile.gettempdir())), tempfile.TemporaryFile() as file:
        _reserve(file.fileno(), 2 * prod(shape))
        return np.memmap(file, np.float16, "r+", shape=shape)


def most_probable(probabilities: Probabilities) -> LabelArray:
    """Return the most probable class of each pixel, (*S), a row at a time; the first of several."""
    num_classes, *size = probabilities.shape
    labels = np.empty(size, label_dtype(num_classes))
    for row in range(size[0]):
        labels[row] = probabilities[:, row].argmax(0)
    return labels


def _reserve(file: int, size: int) -> None:
    """Make a file as large as it has to be, so that a full disk is found now instead of at a write."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)
