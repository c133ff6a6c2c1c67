"""Boxes found by other programs: YOLO's text files with scores, named like the images."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.labels import LabelTable
from limner.core.prediction import BoxPrediction
from limner.core.sample import Record, Sample
from limner.storage.text_files import read_lines
from limner.storage.unfinished import refuse_unfinished
from limner.storage.usable_numbers import number_of

LABELS = "labels"
"""Folder in which detectors write the files, beside pictures of the boxes."""

NUMBERS = (5, 6)
"""Numbers of a line: the class, the middle's x and y, width and height as fractions; the score may follow."""

WITHOUT_SCORE = 1.0
"""Score of boxes whose lines have none."""

WHAT = "The file of found boxes"


def box_files(predictions: Path) -> Path | None:
    """Return the folder with YOLO's text files at a path, or None if there is none.

    Raises:
        DataError: The prediction there was interrupted.
    """
    refuse_unfinished(predictions)
    folders = (predictions / LABELS, predictions)
    return next((folder for folder in folders if folder.is_dir() and _has_boxes(folder)), None)


def _has_boxes(folder: Path) -> bool:
    """Return whether some text file there begins with a box."""
    firsts = (next(filter(None, read_lines(path, what=WHAT)), "") for path in folder.rglob("*.txt"))
    return any(_numbers(line) is not None for line in firsts)


class PredictedBoxes:
    """Finds and reads the boxes found in an image.

    Args:
        folder: Folder with the text files, at any depth. An image without a file has no boxes.
        labels: The classes, numbered from 0 in this order in the files.
        records: The evaluated images.

    Raises:
        DataError: No file has the name of an image, or a file could be of several images.
    """

    def __init__(self, folder: Path, labels: LabelTable, records: Sequence[Record]) -> None:
        self.folder = folder
        self.labels = labels
        paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.txt")}
        stems = Counter(PurePosixPath(record.name).name for record in records)
        self._files: dict[str, Path] = {}
        for record in records:
            stem = PurePosixPath(record.name).name
            path = paths.get(record.name) or paths.get(stem)
            if path is not None and record.name not in paths and stems[stem] > 1:
                raise _ambiguous(path, [r.name for r in records if PurePosixPath(r.name).name == stem])
            if path is not None:
                self._files[record.name] = path
        if records and not self._files:
            raise DataError(
                describe(
                    "No file of found boxes has the name of an image",
                    where=folder,
                    found=", ".join(f"{name}.txt" for name in sorted(paths)[:3]),
                    expected=f"names such as {records[0].name}.txt",
                    fix="Evaluate on the data that was predicted, or name the files like its images.",
                )
            )

    def predict(self, sample: Sample) -> BoxPrediction:
        """Read the boxes of an image, possibly none, highest score first.

        Raises:
            DataError: A line is not that of a box, or its class does not exist.
        """
        path = self._files.get(sample.name)
        lines = [] if path is None else read_lines(path, what=WHAT)
        rows = [
            self._row(line, f"{path}, line {number}")
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
        values = np.array(rows, np.float64).reshape(-1, NUMBERS[-1])
        values = values[np.argsort(-values[:, 5], kind="stable")]
        height, width = sample.spatial_shape
        middles, halves = values[:, 1:3] * (width, height), values[:, 3:5] * (width, height) / 2
        xyxy = np.concatenate([middles - halves, middles + halves], 1).astype(np.float32)
        labels, scores = values[:, 0].astype(np.int64), values[:, 5].astype(np.float32)
        return BoxPrediction(sample.name, xyxy, labels, scores, (height, width))

    def _row(self, line: str, where: str) -> list[float]:
        """Return class, middle, sides and score of a line."""
        numbers = _numbers(line)
        if numbers is None:
            raise DataError(
                describe(
                    "Not a box",
                    where=where,
                    found=line[:60],
                    expected="class x y width height score: middle and size as fractions of the image",
                    fix="To score outlines of objects, write COCO's JSON.",
                )
            )
        if numbers[0] >= self.labels.num_classes:
            known = ", ".join(f"{number} {name}" for number, name in enumerate(self.labels.names))
            raise DataError(
                describe(
                    "A box has a class that is not in the data",
                    where=where,
                    found=f"class {numbers[0]:g}",
                    expected=known,
                    fix="Number the classes from 0 in the order of the data's.",
                )
            )
        return [*numbers, WITHOUT_SCORE] if len(numbers) == NUMBERS[0] else numbers


def _numbers(line: str) -> list[float] | None:
    """Return the numbers of a box, or None if the line is something else."""
    fields = line.split()
    numbers = [number for field in fields if (number := number_of(field)) is not None]
    is_complete = bool(numbers) and len(numbers) == len(fields) and len(fields) in NUMBERS
    return numbers if is_complete and numbers[0] >= 0 and numbers[0].is_integer() else None


def _ambiguous(path: Path, names: Sequence[str]) -> DataError:
    return DataError(
        describe(
            "A file of found boxes could be of several images",
            where=path,
            found=", ".join(names[:3]),
            expected="the subfolders of the images",
            fix="Write the files into the same subfolders as the images.",
        )
    )
