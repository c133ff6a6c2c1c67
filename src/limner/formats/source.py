"""What every format gives: the records of a labelled folder and how to read each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
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
from limner.formats.drawn import Drawn, Shape, box_of_mask, hull_of_mask, runs_of_mask
from limner.formats.named_classes import refuse_names
from limner.formats.numbered_slices import cases_of
from limner.formats.problems import Problems
from limner.formats.terms import MASKS, Terms
from limner.images.pixels import Reduce
from limner.images.read_image import read_image

TEXT_TASK = "text-detection"
"""The task of formats that give words."""

BOX_TASK = "detection"
"""The task of formats that give boxes."""


class Source(ABC):
    """A labelled folder, opened through one format; only names are held in memory.

    Attributes:
        root: The dataset folder.
        settings: Its `dataset.yaml`, or the defaults.
        records: One record for each image, labelled or not, sorted by name.
        findings: Findings from pairing images with labels; `open_source` adds pictures that are not read.
    """

    name: ClassVar[str]
    """The format's name in `FORMATS`, such as ``paired-folders``."""
    title: ClassVar[str]
    """One sentence: what the layout looks like."""
    terms: ClassVar[Terms] = MASKS
    """What its labels are called in messages."""
    ignored_by_format: ClassVar[tuple[int, ...]] = ()
    """Mask values that the format excludes from training and scoring, such as VOC's 255."""

    overlaps_are_usual: ClassVar[bool] = True
    """Whether objects may share pixels, as drawn objects do where one is in front of another."""

    other_folders_are_known: ClassVar[bool] = False
    """Whether folders beside the images and labels are no datasets of their own, as in a public dataset."""

    tasks: tuple[str, ...] = ("semantic",)
    """Tasks that the labels can train: names of `TASKS`, and ``detection`` if they give boxes."""

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
        """Return the records, and the findings from pairing images with labels."""

    @cached_property
    def case_of(self) -> Mapping[str, str]:
        """Case of each image that is a slice of a volume, by its name; empty if the images are no slices.

        Raises:
            DataError: `cases` in `dataset.yaml` does not match an image.
        """
        return cases_of(self.records, self.settings, self.root)

    def cache_state(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return the arrays that reading needs beyond the records, for the index cache; None to skip it."""
        return None

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:  # noqa: B027
        """Restore the state that `cache_state` returned."""

    @classmethod
    def restored(
        cls,
        root: Path,
        settings: DatasetFile,
        records: tuple[Record, ...],
        findings: tuple[Finding, ...],
        state: Mapping[str, npt.NDArray[Any]],
    ) -> "Source":
        """Return a source from a cached index, without indexing."""
        source = cls.__new__(cls)
        source.root, source.settings, source.records, source.findings = root, settings, records, findings
        source.restore(state)
        return source

    def reading_state(self, record: Record) -> str:
        """Return all that the readings of a record depend on beyond its files and the encoding of masks.

        Whoever stores something about a reading uses this as part of its key.
        """
        return ""

    def read_image(self, record: Record, *, reduce: Reduce | None = None) -> Picture:
        """Decode one image in the values of its files: upright, palettes expanded, alpha dropped.

        Several files are taken for its channels; a format whose files are something else says so itself.

        Args:
            record: The image.
            reduce: As of `limner.images.read_image`; formats of volumes ignore it.

        Raises:
            DataError: A file cannot be read; the message names it.
        """
        return read_image(*record.images, reduce=reduce)

    @abstractmethod
    def read_values(self, record: Record) -> ValueMap:
        """Decode the labels of one image: (*spatial) integer mask values, untranslated.

        Raises:
            DataError: A file cannot be read; the message names it.
        """

    def stated_shape(self, record: Record) -> tuple[int, ...] | None:
        """Return the spatial shape of the labels if their file states it, without reading more, else None.

        Raises:
            DataError: A file cannot be read; the message names it.
        """
        return None

    def names_of_values(self, record: Record) -> Mapping[int, str]:
        """Return value -> name as a list for the labels of this image alone says; empty without one."""
        return {}

    def read_segments(self, record: Record) -> Segments:
        """Decode the objects and regions of one image, labelled with untranslated mask values.

        Raises:
            DataError: A file cannot be read, or the format has no separate objects.
        """
        raise DataError(
            describe(
                f"The format {self.name} gives a class for each pixel but no objects",
                where=self.root,
                expected="a mask for each object, as in COCO's JSON or one file per object",
                fix="Train the semantic task on it, or export the labels as separate objects.",
            )
        )

    def read_class(self, record: Record) -> int:
        """Return the class of the whole image, as a value of the label table.

        Raises:
            DataError: The format gives no class for a whole image.
        """
        raise DataError(
            describe(
                f"The format {self.name} gives no class for a whole image",
                where=record.image,
                expected="one folder per class, or a list of images and classes",
            )
        )

    def read_tags(self, record: Record) -> Sequence[int]:
        """Return the classes of the whole image, any number of them, as values of the label table.

        Raises:
            DataError: The format gives no classes for a whole image.
        """
        raise DataError(
            describe(
                f"The format {self.name} gives no tags of a whole image",
                where=record.image,
                expected="a table with a column for each class, 1 where an image has it",
            )
        )

    def read_words(self, record: Record) -> Words:
        """Return the words of one image, if the format has words.

        Raises:
            DataError: A file cannot be read, or the format has no words.
        """
        raise DataError(describe(f"The format {self.name} has no words", where=record.image))

    def read_objects(self, record: Record) -> Sequence[Drawn]:
        """Return the objects and regions of one image as drawn, labelled with mask values.

        Raises:
            DataError: A file cannot be read, or the format has no separate objects.
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
        """Return boxes and outlines of the objects of one image; by default those of its segments.

        Labels are mask values.

        Raises:
            DataError: A file cannot be read, or the format has no separate objects.
        """
        segments = self.read_segments(record)
        boxes, hulls = [], []
        for mask in segments.each_mask():
            boxes.append(box_of_mask(mask))
            hulls.append(hull_of_mask(mask))
        found = boxes_of(
            boxes,
            segments.labels.tolist(),
            segments.is_crowd.tolist(),
            shape=segments.spatial_shape,
            complete=segments.complete,
            outlines=hulls,
        )
        return found.select(found.areas > 0)

    def complete_values(self, record: Record) -> frozenset[int] | None:
        """Return the mask values of the classes of which all objects of an image are drawn; None for all."""
        return None

    def label_problems(self, record: Record, segments: Segments | None = None) -> Problems:
        """Return the problems of the labels of one image that indexing does not look for.

        Args:
            record: The image.
            segments: The result of `read_segments`, if known, so that nothing is decoded twice.

        Raises:
            DataError: A file cannot be read.
        """
        return Problems()

    def declared_labels(self) -> LabelTable | None:
        """Return the label table that `dataset.yaml` or the format defines, or None.

        Raises:
            ConfigError: `dataset.yaml` has names of labels that have none.
        """
        refuse_names(self.settings, self.root)
        return self.settings.label_table()
