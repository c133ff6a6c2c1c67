"""`limner predict --uncertain N`: the images to label next.

``out/uncertain/`` has copies of the images; ``uncertain.txt`` lists the originals, for
``limner predict MODEL out/uncertain.txt --to TOOL``; ``uncertain.csv`` has the uncertainty of every predicted
image, and ``uncertain.html`` shows the chosen ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError
from limner.inference.image_paths import ImagePath
from limner.inference.open_predictor import AnyPredictor
from limner.inference.uncertain_images import (
    POOL,
    ChosenImage,
    MeasuredImage,
    UncertaintyProbe,
    choose_next,
)
from limner.reporting.uncertain_page import UncertainRow, render_uncertain
from limner.storage.file_contents import file_content
from limner.storage.table_cells import cell, csv_text
from limner.storage.whole_files import remove_file, write_whole
from limner.tasks.prediction_folder import OVERLAYS, PredictionFolder

COPIES = "uncertain"
TABLE, LIST, PAGE = "uncertain.csv", "uncertain.txt", "uncertain.html"
LABEL_NEXT_FILES = (TABLE, LIST, PAGE)
HEADING = ("image", "uncertainty", "rank", "distance")

MEASURED = "measured"
"""Key of the measurements in the entry of an image."""


@dataclass(frozen=True)
class LabelNext:
    """The images to label next.

    Attributes:
        images: Their paths, in order.
        page: The page that shows them.
        words: What was used to choose them.
    """

    images: tuple[Path, ...]
    page: Path
    words: str

    @property
    def num_chosen(self) -> int:
        """Number of chosen images."""
        return len(self.images)


def probe_for(predictor: AnyPredictor, count: int) -> UncertaintyProbe:
    """Return the probe that measures images.

    Raises:
        ConfigError: The number is less than 1, or the model has no measure.
    """
    if count < 1:
        raise ConfigError(f"--uncertain is a number of images, 1 or more; found {count}.")
    return UncertaintyProbe(predictor)


def write_label_next(
    folder: PredictionFolder,
    images: Sequence[ImagePath],
    entries: Iterable[dict[str, Any]],
    *,
    count: int,
    words: str,
) -> LabelNext:
    """Choose images, and write the table, the list, their copies and the page.

    Args:
        folder: The folder of predictions.
        images: The predicted images.
        entries: Their entries, in the same order.
        count: Number of images to choose.
        words: What was used to measure them.

    Raises:
        WriteError: A file cannot be written.
    """
    measured = [MeasuredImage.from_json(entry[MEASURED]) for entry in entries]
    chosen = choose_next(measured, count)
    paths = tuple(images[one.index].path for one in chosen)
    pool = min(POOL * count, len(measured))
    words = f"{words}. Of the {pool} most uncertain, each is the farthest from those before it"
    write_whole(folder.root / TABLE, _table(images, measured, chosen))
    write_whole(folder.root / LIST, "".join(f"{path.absolute()}\n" for path in paths))
    _copy(folder, images, chosen)
    rows = [_row(folder, images[one.index], measured[one.index]) for one in chosen]
    page = folder.root / PAGE
    write_whole(page, render_uncertain(rows, num_images=len(images), words=words))
    return LabelNext(paths, page, words)


def _table(
    images: Sequence[ImagePath], measured: Sequence[MeasuredImage], chosen: Sequence[ChosenImage]
) -> str:
    """Return every image, the most uncertain first, with its rank if it is chosen."""
    ranks = {one.index: (rank, one.distance) for rank, one in enumerate(chosen, start=1)}
    rows: list[Sequence[object]] = [HEADING]
    for index in sorted(range(len(images)), key=lambda index: -measured[index].uncertainty):
        rank, distance = ranks.get(index, (None, None))
        shown = None if distance is None else f"{distance:.4f}"
        rows.append([cell(str(images[index].path)), f"{measured[index].uncertainty:.6f}", rank, shown])
    return csv_text(rows)


def _copy(folder: PredictionFolder, images: Sequence[ImagePath], chosen: Sequence[ChosenImage]) -> None:
    """Copy the chosen images, and remove copies of others that an earlier prediction chose."""
    numbers = {one.index for one in chosen}
    for index, image in enumerate(images):
        copy = folder.place(COPIES, f"{image.output}{image.path.suffix}")
        if index in numbers:
            write_whole(copy, file_content(image.path))
        elif copy.is_file():
            remove_file(copy)


def _row(folder: PredictionFolder, image: ImagePath, measured: MeasuredImage) -> UncertainRow:
    overlay = folder.place(OVERLAYS, f"{image.output}.png")
    return UncertainRow(image.output, measured.uncertainty, overlay if folder.overlay else image.path)
