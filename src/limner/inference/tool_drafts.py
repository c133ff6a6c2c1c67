"""Drafts for labelling tools: what a model found in images, as a dataset of the tool, for people to correct.

The folder has the images, the labels in the format of the tool, and `pre_annotations.csv` with the score of
each object and how much of its mask the outline keeps.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from limner.core.errors import ConfigError, UnknownNameError
from limner.core.labels import LabelClass, LabelTable
from limner.core.picture import Picture
from limner.core.sample import Record
from limner.datasets.conversion import unique_stems
from limner.formats import WRITERS
from limner.formats.pre_annotations import PreAnnotation, pre_annotations
from limner.formats.public.class_tables import renumbered
from limner.formats.writers import Outgoing, Writer
from limner.inference.image_paths import ImagePath
from limner.inference.open_predictor import AnyPredictor
from limner.storage.table_cells import cell, csv_text
from limner.storage.whole_files import write_whole

TOOLS: Mapping[str, tuple[str, str]] = {
    "labelme": ("labelme", "labelme"),
    "coco": ("coco-instances", "coco-instances"),
    "yolo": ("yolo", "yolo"),
    "cvat": ("cvat", "cvat"),
    "label-studio": ("label-studio", "label-studio"),
    "voc": ("voc", "voc-boxes"),
}
"""Name of a tool -> formats of `WRITERS` for label maps and for objects."""

TABLE = "pre_annotations.csv"
HEADING = ("image", "object", "class", "score", "pixels", "iou")

TOLERANCE = 1.0
"""Pixels by which outlines may be off if unspecified: a staircase of pixels becomes a straight line."""

MAX_TOLERANCE = 100.0


@dataclass(frozen=True)
class OutlineFidelity:
    """How well the written outlines keep the predicted masks.

    Attributes:
        num_objects: Number of written objects.
        tolerance: Pixels by which outlines may be off.
        num_small: Number of objects that were left out, since they have fewer pixels than requested.
        mean_iou: Mean intersection over union of outlines and masks; None without outlines.
        least_iou: The smallest; `least_image` is its image.
        least_image: Name of an image; empty without outlines.
    """

    num_objects: int
    tolerance: float
    num_small: int = 0
    mean_iou: float | None = None
    least_iou: float | None = None
    least_image: str = ""


@dataclass(frozen=True)
class Drafts:
    """Predicts images and writes them as a dataset of a tool; made by `drafts_for`.

    Attributes:
        predictor: The model.
        writer: Writer of the tool's format.
        root: The folder.
        stems: Output name of each image -> its name in the folder.
        tolerance: Pixels by which outlines may be off.
        least_score: As in `Task.candidates`.
        least_pixels: Leaves out objects with fewer pixels, and boxes with a smaller area.
    """

    predictor: AnyPredictor
    writer: Writer
    root: Path
    stems: Mapping[str, str]
    tolerance: float
    least_score: float | None
    least_pixels: int = 0

    @property
    def labels(self) -> LabelTable:
        """The classes, numbered as `limner convert` numbers them.

        Models of objects have no background class, but their datasets do: what no object covers.
        """
        labels, task = self.predictor.labels, self.predictor.task
        is_covered = task.has_label_maps or task.has_stuff or labels.background_index is not None
        if not is_covered:
            free = 1 + max(value for one in labels.classes for value in one.values)
            rest = LabelClass("background", (free,), (0, 0, 0))
            labels = LabelTable((*labels.classes, rest))
        return renumbered(labels)

    @property
    def options(self) -> str:
        """The options that must be equal to continue, in words."""
        least = f"--min-score {self.least_score}, --min-pixels {self.least_pixels}"
        return f"--to {self.writer.name}, --tolerance {self.tolerance:g}, {least}"

    def write(self, item: ImagePath, picture: Picture) -> dict[str, Any]:
        """Predict an image and write it; returns what `finish` needs.

        Raises:
            DataError: The image does not suit the model; nothing is written then.
            WriteError: A file cannot be written.
        """
        predictor, task, writer = self.predictor, self.predictor.task, self.writer
        stem, size = self.stems[item.output], (picture.size[0], picture.size[1])
        scored = writer.takes_objects and task.allowed_with(predictor.plan.loss).probabilities
        prediction = predictor.predict(picture, name=str(item.path), probabilities=scored)
        objects: list[PreAnnotation] = []
        num_small = 0
        if writer.takes_objects:
            every = [*task.candidates(prediction, predictor.labels, least_score=self.least_score)]
            found = [one for one in every if one.pixels >= self.least_pixels]
            num_small = len(every) - len(found)
            holes = "holes" not in writer.cannot_hold
            objects = pre_annotations(found, tolerance=self.tolerance, holes=holes)
            drawn = [one.drawn for one in objects]
            outgoing = Outgoing(stem, item.path, None, None, objects=drawn, size=size, is_predicted=True)
        else:
            outgoing = Outgoing(stem, item.path, None, prediction.semantic, size=size, is_predicted=True)
        written = writer.write_image(self.root, outgoing, self.labels)
        rows = [self._row(stem, number, one) for number, one in enumerate(objects, start=1)]
        return {"written": written, "objects": rows, "num_small": num_small}

    def finish(self, entries: Iterable[dict[str, Any]]) -> OutlineFidelity | None:
        """Write the files about all images from the results of `write`, which are iterated several times.

        Returns:
            How well outlines keep the masks; None for formats of label maps, which keep every pixel.
        """
        self.writer.finish(self.root, _Part(entries, "written"), self.labels)
        if not self.writer.takes_objects:
            return None
        rows = _Part(entries, "objects")
        write_whole(self.root / TABLE, _table(rows))
        return _fidelity(rows, self.tolerance, sum(_Part(entries, "num_small")))

    def _row(self, stem: str, number: int, one: PreAnnotation) -> list[Any]:
        score = None if one.drawn.score is None else round(one.drawn.score, 5)
        iou = None if one.drawn.is_box_only else round(one.iou, 5)
        name = self.labels.names[one.drawn.value]
        return [cell(stem), number, cell(name), score, round(one.pixels, 3), iou]


@dataclass(frozen=True)
class _Part:
    """One part of each entry; read again each time, so that memory does not grow with the images."""

    entries: Iterable[dict[str, Any]]
    key: str

    def __iter__(self) -> Iterator[Any]:
        return (part for entry in self.entries if (part := entry[self.key]) is not None)


def drafts_for(
    predictor: AnyPredictor,
    images: Sequence[ImagePath],
    root: Path,
    *,
    tool: str,
    tolerance: float = TOLERANCE,
    least_score: float | None = None,
    least_pixels: int = 0,
) -> Drafts:
    """Return the writer of a model's drafts for a tool.

    Args:
        predictor: The model.
        images: The images that will be written.
        root: The folder.
        tool: A name of `TOOLS`.
        tolerance: Pixels by which outlines may be off.
        least_score: As in `Task.candidates`.
        least_pixels: As in `Drafts`.

    Raises:
        UnknownNameError: The tool is unknown.
        ConfigError: The model predicts nothing that can be drawn in an image, or a number is out of range.
    """
    if tool not in TOOLS:
        raise UnknownNameError("labelling tool", tool, TOOLS)
    if not 0 <= tolerance <= MAX_TOLERANCE:
        raise ConfigError(
            f"--tolerance is a number of pixels from 0 to {MAX_TOLERANCE:g}; found {tolerance:g}."
        )
    if least_score is not None and not 0 <= least_score <= 1:
        raise ConfigError(f"--min-score is a number from 0 to 1; found {least_score:g}.")
    if least_pixels < 0:
        raise ConfigError(f"--min-pixels is a number of pixels, 0 or more; found {least_pixels}.")
    _refuse_unsuitable(predictor)
    of_label_maps, of_objects = TOOLS[tool]
    name = of_label_maps if predictor.task.has_label_maps else of_objects
    stems = unique_stems([Record(image.output, image.path) for image in images])
    by_output = {image.output: stem for image, stem in zip(images, stems, strict=True)}
    return Drafts(predictor, WRITERS[name](), root, by_output, tolerance, least_score, least_pixels)


def _refuse_unsuitable(predictor: AnyPredictor) -> None:
    """Refuse models whose predictions cannot be outlines or boxes in images."""
    task = predictor.task
    if not task.has_candidates:
        raise ConfigError(
            f"--to writes outlines and boxes for labelling tools; this model's task is {task.name!r}. "
            "Omit --to."
        )
    if predictor.plan.input.takes_volumes:
        raise ConfigError(
            "--to is for images; this model predicts volumes. Omit --to: the masks keep the header of their "
            "volume, and tools such as 3D Slicer and ITK-SNAP open and correct them."
        )


def _table(rows: Iterable[Sequence[Sequence[Any]]]) -> str:
    """Return the objects of all images as CSV."""
    return csv_text(chain([HEADING], chain.from_iterable(rows)))


def _fidelity(rows: Iterable[Sequence[Sequence[Any]]], tolerance: float, num_small: int) -> OutlineFidelity:
    num_objects = num_outlines = 0
    total, least = 0.0, (1.0, "")
    for image, _, _, _, _, iou in (row for of_image in rows for row in of_image):
        num_objects += 1
        if iou is not None:
            num_outlines, total = num_outlines + 1, total + iou
            least = min(least, (iou, image)) if least[1] else (iou, image)
    if not num_outlines:
        return OutlineFidelity(num_objects, tolerance, num_small)
    return OutlineFidelity(num_objects, tolerance, num_small, total / num_outlines, *least)
