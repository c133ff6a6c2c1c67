"""Words found by other programs: ICDAR's text files of results, named like the images."""

from pathlib import Path, PurePosixPath

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.prediction import WordPrediction
from limner.core.sample import Sample
from limner.core.words import Polygon
from limner.storage.text_files import read_lines
from limner.storage.unfinished import refuse_unfinished
from limner.storage.usable_numbers import number_of

PREFIX = "res_"
"""Prefix of the files, as ICDAR's challenges prescribe; files without it are read too."""

WORDS = "words"
"""Folder in the output of `limner predict`."""

FEWEST_NUMBERS = 6


def word_files(predictions: Path) -> Path | None:
    """Return the folder with text files of words at a path, or None if there is none.

    Raises:
        DataError: The prediction there was interrupted.
    """
    refuse_unfinished(predictions)
    folders = (predictions / WORDS, predictions)
    return next((folder for folder in folders if folder.is_dir() and any(folder.rglob("*.txt"))), None)


class PredictedWords:
    """Finds and reads the words found in an image.

    Args:
        folder: Folder with the text files, at any depth.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*.txt")):
            name = PurePosixPath(path.relative_to(folder).as_posix())
            stem = name.stem.removeprefix(PREFIX)
            for known_as in {str(name.with_name(stem)), stem}:
                self._files.setdefault(known_as, []).append(path)

    def predict(self, sample: Sample) -> WordPrediction:
        """Read the words of an image, in the order of the file.

        Raises:
            DataError: There is no file of that name, or several, or a line is not an outline.
        """
        stem = PurePosixPath(sample.name).name
        found = self._files.get(sample.name) or self._files.get(stem, [])
        if len(found) != 1:
            raise DataError(
                describe(
                    "The file of found words is missing" if not found else "Several files of found words",
                    where=self.folder,
                    found=", ".join(path.relative_to(self.folder).as_posix() for path in found) or "nothing",
                    expected=f"{PREFIX}{stem}.txt; empty if no word was found",
                )
            )
        (path,) = found
        lines = enumerate(read_lines(path, what="The file of found words"), start=1)
        polygons = tuple(_outline(line, f"{path}, line {number}") for number, line in lines if line.strip())
        return WordPrediction(sample.name, polygons, np.ones(len(polygons), np.float32))


def _outline(line: str, where: str) -> Polygon:
    """Return the outline of ``x1,y1,x2,y2,...``; a number without a partner at the end is a confidence."""
    numbers = [number_of(field) for field in line.split(",")]
    corners = numbers[: len(numbers) // 2 * 2]
    if len(corners) < FEWEST_NUMBERS or None in corners:
        raise DataError(
            describe(
                "Not the outline of a word",
                where=where,
                found=line[:60],
                expected="x1,y1,x2,y2,... of 3 corners or more",
            )
        )
    return np.array(corners, np.float64).reshape(-1, 2)
