"""The images of a dataset or of a run for the web page: with their labels, the worst predictions first."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from limner.core.errors import DataError, describe
from limner.core.plan_text import plan_from_yaml
from limner.core.printable import printable
from limner.core.run_folder import RunFolder
from limner.core.sample import Record
from limner.core.score_names import SCORES
from limner.datasets.checked import check_dataset
from limner.datasets.gallery import Gallery, gallery_of
from limner.drawing.png import encode_png
from limner.evaluation.write_scores import PER_IMAGE
from limner.preparation.run_splits import read_splits
from limner.storage.file_contents import file_content
from limner.storage.table_cells import text_of
from limner.storage.user_paths import user_path

SMALL, LARGE = 300, 1400
"""Longer side of the pictures in the grid, and of an enlarged one."""

SPLIT = "val"
"""The split of a run that is shown."""


@dataclass(frozen=True)
class ShownImage:
    """One image.

    Attributes:
        record: Its files.
        score: Score of its prediction in the run, or None.
    """

    record: Record
    score: float | None


@dataclass(frozen=True)
class ShownData:
    """Images for the page; only these files are ever sent.

    Attributes:
        title: What they are, such as ``validation images of nuclei``.
        score_title: Name of the score by which they are ordered, or None.
        gallery: Draws them.
        images: In the order of the page.
    """

    title: str
    score_title: str | None
    gallery: Gallery
    images: tuple[ShownImage, ...]

    def to_json(self, start: int, count: int) -> dict[str, Any]:
        """Return some of the images, from number `start` on."""
        some = self.images[start : start + count]
        return {
            "title": self.title,
            "score": self.score_title,
            "total": len(self.images),
            "images": [
                {
                    "number": number,
                    "name": each.record.name,
                    "file": each.record.image.name,
                    "score": each.score,
                    "is_single": not each.record.more_images,
                }
                for number, each in enumerate(some, start=start)
            ],
        }

    def picture(self, number: int, *, is_large: bool) -> bytes:
        """Return an image with its labels as PNG; if they cannot be drawn, the image alone."""
        gallery = replace(self.gallery, side=LARGE) if is_large else self.gallery
        panel, _ = gallery.panel(self.images[number].record)
        return encode_png(panel.picture)

    def names(self, number: int) -> dict[str, str]:
        """Return the paths of an image's files and their names, which say nothing about the server."""
        return {str(path): path.name for path in self.images[number].record.files}

    def file(self, number: int) -> bytes:
        """Return the file of an image.

        Raises:
            DataError: It cannot be read.
        """
        path = self.images[number].record.image
        try:
            return file_content(path)
        except OSError as error:
            raise DataError(
                describe("The image cannot be read", where=path, found=error.strerror or str(error))
            ) from error


def open_shown_data(path: Path | str) -> ShownData:
    """Open a dataset, or the validation images of a run in the order of their scores.

    Args:
        path: A dataset folder, or a run whose data is at hand.

    Raises:
        DataError: It is neither, its data is not at hand, or the meaning of its labels is unclear.
    """
    path = user_path(path)
    run = RunFolder(path)
    if not run.splits.is_file():
        gallery = gallery_of(check_dataset(path), side=SMALL)
        images = tuple(ShownImage(record, None) for record in gallery.dataset.records)
        return ShownData(f"Images of {path.resolve().name}", None, gallery, images)
    plan = plan_from_yaml(run.plan.read_text(encoding="utf-8"), where=str(run.plan))
    gallery = gallery_of(check_dataset(user_path(plan.data.path)), side=SMALL)
    score, scores = _scores(run.evaluation(SPLIT) / PER_IMAGE)
    records = read_splits(run, gallery.checked.source).get(SPLIT, ())
    if not records:
        raise DataError(
            describe(
                "The run has no validation images to show",
                where=run.splits,
                fix="Name a dataset folder instead: --data FOLDER.",
            )
        )
    shown = [ShownImage(record, scores.get(printable(record.name))) for record in records]
    shown.sort(key=lambda each: inf if each.score is None else each.score)
    title = f"Validation images of {path.resolve().name}{', the worst first' if scores else ''}"
    return ShownData(title, score, gallery, tuple(shown))


def _scores(path: Path) -> tuple[str | None, Mapping[str, float]]:
    """Return the name of the first score of each image in ``per_image.csv``, and the scores by image."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        (_, first, *_), *others = rows
        found = {text_of(name): float(value) for name, value, *_ in others if value}
    except (OSError, ValueError):  # an interrupted evaluation has no scores to order by
        return None, {}
    return (SCORES[first].title if first in SCORES else first), found
