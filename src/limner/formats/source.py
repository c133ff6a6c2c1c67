"""What every format gives: the records of a labelled folder and how to read each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy.typing as npt

from limner.core.boxes import Boxes, boxes_of
from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import LabelTable, ValueMap
from limner.core.picture import Picture
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.core.words import Words
from limner.formats.drawn import Drawn, Shape, box_of_mask, runs_of_mask
from limner.formats.problems import Problems
from limner.images.read_image import read_image

TEXT_TASK = "text-detection"
"""The task of formats that give words."""


class Source(ABC):
    """A labelled folder, opened through one format; nothing but names is held in memory.

    Attributes:
        root: The dataset folder.
        settings: Its `dataset.yaml`, or the defaults where there is none.
        records: One for each image, labelled or not, sorted by name.
        findings: What pairing images with labels brought to light.
    """

    name: ClassVar[str]
    """The format's name in `FORMATS`, such as ``paired-folders``."""
    title: ClassVar[str]
    """One sentence: what the layout looks like."""
    ignored_by_format: ClassVar[tuple[int, ...]] = ()
    """Mask values that the format itself leaves out of training and scoring, such as VOC's 255."""

    overlaps_are_usual: ClassVar[bool] = True
    """Objects may share pixels, as drawn ones do where one stands before another."""

    tasks: tuple[str, ...] = ("semantic",)
    """What its labels are good for: names of `TASKS`, and ``detection`` where they give boxes."""

    @property
    def uncovered(self) -> int:
        """The mask value of a pixel in no segment."""
        return 0

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        self.root = root
        self.settings = settings
        self.records, self.findings = self.index()

    @classmethod
    @abstractmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, one sentence, or None; reads names only."""

    @abstractmethod
    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List the records, and what was found while pairing images with labels."""

    def cache_state(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return what reading needs beyond the records, to be kept on disk; None where it cannot be kept."""
        return None

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:  # noqa: B027
        """Restore what `cache_state` returned."""

    @classmethod
    def restored(
        cls,
        root: Path,
        settings: DatasetFile,
        records: tuple[Record, ...],
        findings: tuple[Finding, ...],
        state: Mapping[str, npt.NDArray[Any]],
    ) -> "Source":
        """Return the source as `index` left it, without indexing."""
        source = cls.__new__(cls)
        source.root, source.settings, source.records, source.findings = root, settings, records, findings
        source.restore(state)
        return source

    def read_image(self, record: Record) -> Picture:
        """Decode one image in the values of its files: upright, alpha dropped, of a palette the colours.

        Several files are taken for its channels; a format whose files are something else says so itself.

        Raises:
            DataError: A file cannot be read; the message names it.
        """
        return read_image(*record.images)

    @abstractmethod
    def read_values(self, record: Record) -> ValueMap:
        """Decode the labels of one image: (*spatial) integer mask values, not yet translated.

        Raises:
            DataError: A file cannot be read; the message names it.
        """

    def read_segments(self, record: Record) -> Segments:
        """Decode the objects and regions of one image, labelled with mask values, not yet translated.

        Raises:
            DataError: A file cannot be read, or the format tells no objects apart.
        """
        raise DataError(
            describe(
                f"The format {self.name} gives a class for each pixel, and no objects",
                where=self.root,
                expected="a mask for each object, as in COCO's JSON or one file an object",
                fix="Train the semantic task on it, or export the labels with their objects.",
            )
        )

    def read_class(self, record: Record) -> int:
        """Return the class of the whole image, as a value of the label table.

        Raises:
            DataError: The format says more than that, or nothing, of this image.
        """
        raise DataError(
            describe(
                f"The format {self.name} gives no class for a whole image",
                where=record.image,
                expected="one folder a class, or a list of images and classes",
            )
        )

    def read_words(self, record: Record) -> Words:
        """Return the words of one image, where the format is one of text.

        Raises:
            DataError: A file cannot be read, or the format knows no words.
        """
        raise DataError(describe(f"The format {self.name} knows no words", where=record.image))

    def read_objects(self, record: Record) -> Sequence[Drawn]:
        """Return the objects and regions of one image as they were drawn, labelled with mask values.

        Raises:
            DataError: A file cannot be read, or the format tells no objects apart.
        """
        segments = self.read_segments(record)
        masks = segments.each_mask()
        rows = zip(masks, segments.labels.tolist(), segments.is_crowd.tolist(), strict=True)
        return [
            Drawn(label, (Shape("runs", runs_of_mask(mask)),), crowd)
            for mask, label, crowd in rows
            if mask.any()
        ]

    def read_boxes(self, record: Record) -> Boxes:
        """Return the boxes of one image, labelled with mask values; here those around its segments.

        Raises:
            DataError: A file cannot be read, or the format tells no objects apart.
        """
        segments = self.read_segments(record)
        boxes = [box_of_mask(mask) for mask in segments.each_mask()]
        found = boxes_of(
            boxes, segments.labels.tolist(), segments.is_crowd.tolist(), shape=segments.spatial_shape
        )
        return found.select(found.areas > 0)

    def label_problems(self, record: Record, segments: Segments | None = None) -> Problems:
        """Return what is wrong with the labels of one image, beyond what indexing could see.

        Args:
            record: The image.
            segments: What `read_segments` gave, where that was asked before: nothing is decoded again.

        Raises:
            DataError: A file cannot be read.
        """
        return Problems()

    def declared_labels(self) -> LabelTable | None:
        """Return the label table that `dataset.yaml` or the format itself spells out, or None."""
        return self.settings.label_table()
