"""Right and wrong pixels of a label map as one grey value each, for other programs.

Shape legend: *S spatial axes.
"""

from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray, LabelTable
from limner.storage.whole_files import open_whole, write_whole

MAPS = "maps"
"""Name of their folder."""

TRUE_NEGATIVE, IGNORED, FALSE_NEGATIVE, FALSE_POSITIVE, CONFUSED, TRUE_POSITIVE = 0, 32, 64, 128, 192, 255
"""Grey values: background in both; ignored; missed; predicted on background; another class; right."""


def error_map(truth: LabelArray, predicted: LabelArray, table: LabelTable) -> npt.NDArray[np.uint8]:
    """Return the grey value of each pixel.

    Args:
        truth: (*S) trained labels, as in a `LabelMap`.
        predicted: (*S) without ignored pixels.
        table: The classes; without a background, a pixel is right, of another class, or ignored.

    Returns:
        (*S) uint8.
    """
    background = table.background_index
    found: npt.NDArray[np.uint8] = np.where(truth == predicted, TRUE_POSITIVE, CONFUSED).astype(np.uint8)
    if background is not None:
        found[(truth == background) & (predicted == background)] = TRUE_NEGATIVE
        found[(truth != background) & (predicted == background)] = FALSE_NEGATIVE
        found[(truth == background) & (predicted != background)] = FALSE_POSITIVE
    found[truth == table.ignore_index] = IGNORED
    return found


def earlier_maps(folder: Path) -> list[Path]:
    """Return the maps in the output folder of an evaluation."""
    return [path for path in (folder / MAPS).rglob("*") if path.suffix in (".png", ".npy")]


def write_error_map(folder: Path, name: str, values: npt.NDArray[np.uint8]) -> Path:
    """Write a map as ``maps/NAME.png``, or that of a volume as ``maps/NAME.npy``, and return its path.

    Args:
        folder: Output folder of the evaluation.
        name: Name of the image; its folders are kept.
        values: (H, W) or (D, H, W), as from `error_map`.
    """
    inside = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
    place = folder.joinpath(MAPS, *inside)
    if values.ndim == 2:
        path = place.with_name(f"{place.name}.png")
        write_whole(path, cv2.imencode(".png", values)[1].tobytes())
        return path
    path = place.with_name(f"{place.name}.npy")
    with open_whole(path) as file:
        np.save(file, values)
    return path
