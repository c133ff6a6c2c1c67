"""A checked dataset, ready to be drawn: its images with the labels that training would see."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from limner.api.check import CheckResult
from limner.api.palettes import repainted
from limner.core.config import merge
from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.label_map import LabelMap
from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Image
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.drawing.display import RGBImage
from limner.drawing.drawn_words import draw_words
from limner.drawing.labelled import labelled
from limner.drawing.named_objects import has_class_colors, labelled_boxes, labelled_segments
from limner.drawing.panels import Panel
from limner.drawing.png import encode_png
from limner.formats import open_source
from limner.formats.dataset_yaml import read_dataset_file
from limner.formats.shapes.object_source import BOXES
from limner.formats.source import TEXT_TASK, Source
from limner.loading.dataset import Dataset
from limner.storage.whole_files import write_whole


@dataclass(frozen=True)
class Gallery:
    """A checked dataset, ready to be drawn.

    Attributes:
        checked: What check found.
        dataset: All its images, in the order of the facts; labels as the table says.
        table: The classes, in the colours of the palette.
        side: Pixels of the longer side of each picture.
    """

    checked: CheckResult
    dataset: Dataset
    table: LabelTable
    side: int

    def panel(self, record: Record, title: str = "") -> tuple[Panel, LabelArray | None]:
        """Draw one image with its labels; what cannot be drawn becomes the image alone, and says so.

        Returns:
            The picture, and the trained labels on it, of which the legend tells the colours.
        """
        try:
            picture, shown = self._drawn(record)
        except DataError as error:
            why = str(error).splitlines()[0]
            try:
                picture = labelled(self._image(record), None, self.table, side=self.side)
            except DataError:
                return Panel(f"{record.name}: {why}", _blank(self.side)), None
            return Panel(f"{record.name}: {why}", picture), None
        named = "" if record.label is None else f"{self._class_of(record)}: "
        return Panel(title or f"{named}{record.name}", picture), shown

    def _class_of(self, record: Record) -> str:
        return self.table.names[self.table.trained_as[self.checked.source.read_class(record)]]

    def _drawn(self, record: Record) -> tuple[RGBImage, LabelArray | None]:
        """Draw segments where objects are told apart, boxes where there are only these, else label maps."""
        if not record.labels or record.label is not None:
            return labelled(self._image(record), None, self.table, side=self.side), None
        if self.dataset.source.tasks == BOXES:
            boxes = self.table.encode_boxes(
                self.dataset.source.read_boxes(record), where=str(record.labels[0])
            )
            picture = labelled_boxes(self._image(record), boxes, self.table, side=self.side)
            return picture, boxes.labels.astype(self.table.label_dtype)
        sample = self.dataset[self._places[record.name]]
        segments = sample.get(Segments)
        if segments is None:
            label_map = sample.get(LabelMap)
            assert label_map is not None, "a gallery shows segments or label maps"
            picture = labelled(sample.image, label_map.labels, self.table, side=self.side)
            if TEXT_TASK in self.dataset.source.tasks:
                words = self.dataset.source.read_words(record)
                picture = draw_words(picture, words, size=(sample.image.shape[0], sample.image.shape[1]))
            return picture, label_map.labels
        picture = labelled_segments(sample.image, segments, self.table, side=self.side)
        labels = segments.painted(self.table.ignore_index).astype(self.table.label_dtype)
        own_colors = self.table.is_thing & (not has_class_colors(self.table))
        return picture, labels[~np.isin(labels, np.flatnonzero(own_colors))]

    def _image(self, record: Record) -> Image:
        return self.dataset.source.read_image(record).array

    @cached_property
    def _places(self) -> dict[str, int]:
        return {record.name: index for index, record in enumerate(self.dataset.records)}

    @cached_property
    def by_file(self) -> dict[str, Record]:
        """Image or label file, relative to the dataset folder -> the record it belongs to."""
        root = self.checked.source.root
        return {
            path.relative_to(root).as_posix(): record
            for record in self.dataset.records
            for path in (*record.images, *record.labels)
            if path.is_relative_to(root)
        }

    @cached_property
    def holders(self) -> dict[str, set[str]]:
        """Image -> names of the classes that its mask holds."""
        return _holders(self.checked, self.table)


def gallery_of(checked: CheckResult, *, palette: str = "own", side: int) -> Gallery:
    """Open a checked dataset as its proposals would have it, to be seen before they are accepted.

    Args:
        checked: What check found.
        palette: A name in `PALETTES`, or a file of names and colours.
        side: Pixels of the longer side of each picture.

    Raises:
        DataError: The mask values are not settled and nothing can be proposed.
        ConfigError: The palette is unknown.
    """
    table = checked.proposed_labels if checked.labels is None else None
    table = table or checked.settled_labels("the labels cannot be drawn")
    source = checked.source if checked.labels else as_proposed(checked)
    kind = Segments if "instance" in source.tasks else LabelMap
    dataset = Dataset(source, source.records, table, targets=(kind,), cache=None)
    return Gallery(checked, dataset, repainted(table, palette), side)


def save_picture(picture: RGBImage, out: Path | str | None) -> Path | None:
    """Write a picture as PNG.

    Raises:
        DataError: The file cannot be written.
    """
    if out is None:
        return None
    try:
        write_whole(Path(out), encode_png(picture))
    except OSError as error:
        raise DataError(
            describe("The picture cannot be written", where=Path(out), found=error.strerror or str(error))
        ) from None
    return Path(out)


def as_proposed(checked: CheckResult) -> Source:
    """Open the dataset as it will be read once the proposals of its check are accepted."""
    root = checked.source.root
    wanted = merge(
        read_dataset_file(root).model_dump(mode="json", exclude_unset=True), checked.proposal or {}
    )
    return open_source(root, DatasetFile.model_validate({**wanted, "format": checked.source.name}))


def _holders(checked: CheckResult, table: LabelTable) -> dict[str, set[str]]:
    threshold = table.encoding.threshold

    def trained(value: int, kind: str) -> int:
        raw = threshold is not None and kind != "threshold"
        return table.trained_as.get(int(value > threshold) if raw and threshold is not None else value, -1)

    return {
        image.name: {
            table.names[index]
            for value in image.value_counts
            if 0 <= (index := trained(value, image.label_kind)) < table.num_classes
        }
        for image in checked.facts.images
    }


def _blank(side: int) -> RGBImage:
    return np.full((side // 2, side, 3), 232, np.uint8)
