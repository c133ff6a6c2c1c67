"""Pictures of telling images of a split, such as the worst and the best, written during evaluation."""

import bisect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.core.labels import LabelTable
from limner.core.prediction import Prediction
from limner.core.sample import Sample
from limner.drawing.display import RGBImage
from limner.drawing.matrix import draw_matrix
from limner.drawing.pdf import encode_pdf
from limner.drawing.png import encode_png
from limner.evaluation.image_class_scores import ClassScores
from limner.evaluation.scorer import PICTURE_TITLES, WORST_AND_BEST, ImageScores, PictureGroup
from limner.evaluation.semantic_scores import SemanticScores
from limner.storage.output_folder import make_output_folder
from limner.storage.whole_files import move_file, remove_file, write_whole
from limner.transforms.resize_array import resize_image

OURS = re.compile(rf"(({'|'.join(PICTURE_TITLES)})-\d+_.*|\.\d+)\.png")
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


def earlier_pictures(folder: Path) -> list[Path]:
    """Return the pictures in a folder that are named like those of an evaluation."""
    return [path for path in folder.iterdir() if OURS.fullmatch(path.name)] if folder.is_dir() else []


class WorstAndBest:
    """Draws the images at the top of each group, such as the worst and the best by their ranking score.

    A picture is drawn when its image enters the lists, and deleted when it leaves them, so neither memory nor
    disk usage grows with the number of images. Images without a score are skipped.

    Args:
        folder: Output folder; pictures of an earlier evaluation are deleted, other files are not.
        labels: The classes.
        count: Number of images of each group.
        rank_title: Name of the score.
        draw: Function that draws an image with its prediction and truth, such as `Task.draw`.
        groups: The groups, in the order of their pictures.
    """

    def __init__(
        self,
        folder: Path,
        labels: LabelTable,
        *,
        draw: Draw,
        rank_title: str,
        count: int = 12,
        groups: Sequence[PictureGroup] = WORST_AND_BEST,
    ) -> None:
        self._draw_comparison = draw
        self.rank_title = rank_title
        self.folder = folder
        self.labels = labels
        self.count = count
        self._groups = tuple(groups)
        self._places: list[list[_Place]] = [[] for _ in self._groups]
        self._offered = 0
        make_output_folder(folder)
        for path in earlier_pictures(folder):
            remove_file(path)

    def offer(self, scores: ImageScores, sample: Sample, prediction: Prediction) -> None:
        """Draw the image if it is among the first of a group so far."""
        number, self._offered = self._offered, self._offered + 1
        keys = [(places, group.key(scores)) for places, group in zip(self._places, self._groups, strict=True)]
        entered = [
            self._enter(places, _Place(key, number, scores.name))
            for places, key in keys
            if not math.isnan(key)
        ]
        if any(entered):
            self._draw(number, scores, sample, prediction)

    def finish(self) -> tuple[Path, ...]:
        """Name the pictures by group and rank, and return their paths; each image is shown once."""
        shown: set[int] = set()
        moved: list[tuple[Path, Path]] = []
        for group, places in zip(self._groups, self._places, strict=True):
            fresh = [place for place in places if place.number not in shown]
            shown |= {place.number for place in fresh}
            moved += [
                (self._drawn(place.number), self.folder / f"{group.name}-{rank}_{_file_name(place.name)}.png")
                for rank, place in enumerate(fresh, start=1)
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
        if all(p.number != left.number for others in self._places for p in others):
            remove_file(self._drawn(left.number))
        return True

    def _draw(self, number: int, scores: ImageScores, sample: Sample, prediction: Prediction) -> None:
        title = f"{scores.name}    {self.rank_title} {scores.rank:.3f}"
        image = sample.image if sample.reduction == 1 else resize_image(sample.image, sample.spatial_shape)
        picture = self._draw_comparison(image, prediction, self.labels, truth=sample, title=title)
        write_whole(self._drawn(number), encode_png(picture))

    def _drawn(self, number: int) -> Path:
        return self.folder / f".{number}.png"


def write_matrix(folder: Path, scores: SemanticScores | ClassScores, *, split: str) -> None:
    """Write the confusion matrix as `confusion.png` and `confusion.pdf`."""
    title = f"{split}: {scores.num_images} images, each row as fractions of its class"
    picture = draw_matrix(scores.confusion, scores.labels.names, title=title)
    write_whole(folder / f"{MATRIX}.png", encode_png(picture))
    write_whole(folder / f"{MATRIX}.pdf", encode_pdf(picture))


def _file_name(name: str) -> str:
    """Convert a record's name to a file name: the last 80 characters, with special characters replaced."""
    return re.sub(r"[^\w.\-]+", "_", name)[-80:]
