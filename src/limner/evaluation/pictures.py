"""Pictures of the worst and best images of a split, written during evaluation."""

import bisect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from limner.core.labels import LabelTable
from limner.core.prediction import Prediction
from limner.core.sample import Sample
from limner.drawing.display import RGBImage
from limner.drawing.matrix import draw_matrix
from limner.drawing.pdf import encode_pdf
from limner.drawing.png import encode_png
from limner.evaluation.scorer import ImageScores
from limner.evaluation.semantic_scores import SemanticScores
from limner.storage.output_folder import make_output_folder
from limner.storage.whole_files import move_file, remove_file, write_whole

OURS = re.compile(r"((worst|best)-\d+_.*|\.\d+)\.png")
"""Pattern of the file names written here."""

MATRIX = "confusion"
"""File name of the confusion matrix, without `.png` and `.pdf`."""


Draw = Callable[..., RGBImage]
"""Function that draws an image, its prediction and its truth side by side."""


@dataclass(frozen=True, order=True)
class _Place:
    key: float
    number: int
    name: str
    score: float


def earlier_pictures(folder: Path) -> list[Path]:
    """Return the pictures in a folder that are named like those of an evaluation."""
    return [path for path in folder.iterdir() if OURS.fullmatch(path.name)] if folder.is_dir() else []


class WorstAndBest:
    """Draws the worst and best images by their ranking score.

    A picture is drawn when its image enters the lists, and deleted when it leaves them, so neither memory nor
    disk usage grows with the number of images. Images without a score are skipped.

    Args:
        folder: Output folder; pictures of an earlier evaluation are deleted, other files are not.
        labels: The classes.
        count: Number of worst images, and of best images.
        rank_title: Name of the score.
        draw: Function that draws an image with its prediction and truth, such as `Task.draw`.
    """

    def __init__(
        self,
        folder: Path,
        labels: LabelTable,
        *,
        draw: Draw,
        rank_title: str,
        count: int = 12,
    ) -> None:
        self._draw_comparison = draw
        self.rank_title = rank_title
        self.folder = folder
        self.labels = labels
        self.count = count
        self._worst: list[_Place] = []
        self._best: list[_Place] = []
        self._offered = 0
        make_output_folder(folder)
        for path in earlier_pictures(folder):
            remove_file(path)

    def offer(self, scores: ImageScores, sample: Sample, prediction: Prediction) -> None:
        """Draw the image if it is among the worst or best so far."""
        rank = scores.rank
        if math.isnan(rank):
            return
        number, self._offered = self._offered, self._offered + 1
        entered = [
            self._enter(self._worst, _Place(rank, number, scores.name, rank)),
            self._enter(self._best, _Place(-rank, number, scores.name, rank)),
        ]
        if any(entered):
            self._draw(number, scores, sample, prediction)

    def finish(self) -> tuple[Path, ...]:
        """Name the pictures by rank, worst first, and return their paths; each image is shown once."""
        shown = {place.number for place in self._worst}
        best = [place for place in self._best if place.number not in shown]
        moved = [
            (self._drawn(place.number), self.folder / f"{kind}-{rank}_{_file_name(place.name)}.png")
            for kind, places in (("worst", self._worst), ("best", best))
            for rank, place in enumerate(places, start=1)
        ]
        for drawn, path in moved:
            move_file(drawn, path)
        return tuple(path for _, path in moved)

    def _enter(self, places: list[_Place], place: _Place) -> bool:
        bisect.insort(places, place)
        if len(places) <= self.count:
            return True
        left = places.pop()
        if left is place:
            return False
        if all(p.number != left.number for p in self._worst + self._best):
            remove_file(self._drawn(left.number))
        return True

    def _draw(self, number: int, scores: ImageScores, sample: Sample, prediction: Prediction) -> None:
        title = f"{scores.name}    {self.rank_title} {scores.rank:.3f}"
        picture = self._draw_comparison(sample.image, prediction, self.labels, truth=sample, title=title)
        write_whole(self._drawn(number), encode_png(picture))

    def _drawn(self, number: int) -> Path:
        return self.folder / f".{number}.png"


def write_matrix(folder: Path, scores: SemanticScores, *, split: str) -> None:
    """Write the confusion matrix as `confusion.png` and `confusion.pdf`."""
    title = f"{split}: {scores.num_images} images, each row as fractions of its class"
    picture = draw_matrix(scores.confusion, scores.labels.names, title=title)
    write_whole(folder / f"{MATRIX}.png", encode_png(picture))
    write_whole(folder / f"{MATRIX}.pdf", encode_pdf(picture))


def _file_name(name: str) -> str:
    """Convert a record's name to a file name: the last 80 characters, with special characters replaced."""
    return re.sub(r"[^\w.\-]+", "_", name)[-80:]
