"""Written predictions of classes of whole images: a CSV, overlays, and copies sorted into folders."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.core.picture import Picture
from limner.core.prediction import ClassPrediction, TagPrediction
from limner.core.printable import printable
from limner.drawing.class_bars import class_bars
from limner.storage.file_contents import file_content
from limner.storage.table_cells import cell, csv_lines
from limner.storage.whole_files import GrowingFile, remove_file, write_whole
from limner.tasks.prediction_folder import OVERLAYS, PredictionFolder

TABLE, SORTED = "predictions.csv", "sorted"

Row = list[str | float]
"""Cells of the table, the path of the image first."""


class ClassTableWriter:
    """Writes ``predictions.csv``, and on request overlays and ``sorted/CLASS/IMAGE``.

    Subclasses define the first columns.
    """

    heading: tuple[str, ...]

    def __init__(self, folder: PredictionFolder, labels: LabelTable) -> None:
        self._folder = folder
        self._names = labels.names

    def files(self, output: str, image: Path) -> tuple[Path, ...]:
        """Return the overlay of an image, if requested."""
        return self._folder.files(output, [])

    def finish(self, entries: Iterable[dict[str, Any]]) -> Path:
        """Write the table of all images."""
        every = [f"probability of {name}" for name in self._names] if self._folder.probabilities else []
        rows = ([_text(value) for value in (*entry["row"], *entry["all"])] for entry in entries)
        path = self._folder.root / TABLE
        with GrowingFile(path) as file:
            for line in csv_lines(chain([[*self.heading, *map(_text, every)]], rows)):
                file.write(line)
        return path

    def _write(
        self,
        row: Row,
        chances: npt.NDArray[np.float32],
        classes: Sequence[int],
        picture: Picture,
        output: str,
    ) -> dict[str, Any]:
        """Write the overlay and the sorted copies of one image, and return its entry."""
        if self._folder.overlay:
            drawn = class_bars(picture.array, chances, self._names)
            self._folder.write_picture(OVERLAYS, output, drawn)
        if self._folder.sorting:
            self._sort(Path(str(row[0])), output, {self._names[index] for index in classes})
        return {"row": row, "all": chances.tolist() if self._folder.probabilities else []}

    def _sort(self, image: Path, output: str, names: set[str]) -> None:
        """Copy an image to the folders of its classes, and remove earlier copies from others."""
        file = f"{output}{image.suffix}"
        for other in self._names:
            copy = self._folder.place(SORTED, f"{_folder_name(other)}/{file}")
            if other not in names and copy.is_file():
                remove_file(copy)
        for name in sorted(names):
            write_whole(self._folder.place(SORTED, f"{_folder_name(name)}/{file}"), file_content(image))


class ClassWriter(ClassTableWriter):
    """Writes the two most probable classes of each image."""

    heading = ("image", "class", "probability", "second_class", "second_probability")

    def write(
        self, prediction: ClassPrediction, picture: Picture, *, output: str, file_name: str
    ) -> dict[str, Any]:
        """Write the results of one image, and return its row of the table."""
        chances = prediction.probabilities
        row: Row = [file_name]
        for index in (-chances).argsort(kind="stable")[:2].tolist():
            row += [self._names[index], float(chances[index])]
        row += [""] * (len(self.heading) - len(row))
        return self._write(row, chances, (prediction.label,), picture, output)


class TagWriter(ClassTableWriter):
    """Writes the classes of each image with a probability of 0.5 or more."""

    heading = ("image", "classes")

    def write(
        self, prediction: TagPrediction, picture: Picture, *, output: str, file_name: str
    ) -> dict[str, Any]:
        """Write the results of one image, and return its row of the table."""
        found = "; ".join(self._names[index] for index in prediction.labels)
        return self._write([file_name, found], prediction.probabilities, prediction.labels, picture, output)


def _text(value: str | float) -> str:
    return cell(printable(value)) if isinstance(value, str) else f"{value:.6f}"


def _folder_name(class_name: str) -> str:
    """Return a class name without what separates folders."""
    return class_name.replace("/", "_").replace("\\", "_").strip(". ") or "_"
