"""Drawing the images of a checked dataset, with the labels for training."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from limner.checks.label_rows import roles_of
from limner.core.errors import DataError
from limner.core.label_map import LabelMap
from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Geometry, Image
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.datasets.checked import CheckResult, as_proposed
from limner.datasets.palettes import repainted
from limner.drawing.display import RGBImage
from limner.drawing.drawn_words import draw_words
from limner.drawing.labelled import labelled
from limner.drawing.named_objects import has_class_colors, labelled_boxes, labelled_segments
from limner.drawing.panels import Panel
from limner.formats.shapes.object_source import BOXES
from limner.formats.source import TEXT_TASK
from limner.loading.dataset import Dataset
from limner.transforms.orthogonal_views import orthogonal_views


@dataclass(frozen=True)
class Gallery:
    """A checked dataset for drawing.

    Attributes:
        checked: Results of the checks.
        dataset: All its images, in the order of the facts, with labels according to the table.
        table: The classes, with the colours of the palette.
        side: Longer side of each picture in pixels.
    """

    checked: CheckResult
    dataset: Dataset
    table: LabelTable
    side: int

    def panel(self, record: Record) -> tuple[Panel, LabelArray | None]:
        """Draw one image with its labels; if these cannot be drawn, the image alone with the reason.

        Returns:
            The picture, and the trained labels in it, for the legend.
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
        named = f"{self._classes_of(record)}: " if _has_classes(record) else ""
        return Panel(f"{named}{record.name}", picture), shown

    def _classes_of(self, record: Record) -> str:
        source = self.checked.source
        values = source.read_tags(record) if record.label is None else [source.read_class(record)]
        return ", ".join(self.table.names[self.table.trained_as[value]] for value in values) or "no class"

    def _drawn(self, record: Record) -> tuple[RGBImage, LabelArray | None]:
        """Draw segments, if labels have objects; boxes, if there are only boxes; else label maps."""
        if not record.labels or _has_classes(record):
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
            image, labels = self._flat(sample.image, sample.geometry, label_map.labels)
            picture = labelled(image, labels, self.table, side=self.side)
            if TEXT_TASK in self.dataset.source.tasks:
                words = self.dataset.source.read_words(record)
                picture = draw_words(picture, words, size=(sample.image.shape[0], sample.image.shape[1]))
            return picture, label_map.labels
        picture = labelled_segments(sample.image, segments, self.table, side=self.side)
        labels = segments.painted(self.table.ignore_index).astype(self.table.label_dtype)
        own_colors = self.table.is_thing & (not has_class_colors(self.table))
        return picture, labels[~np.isin(labels, np.flatnonzero(own_colors))]

    def _image(self, record: Record) -> Image:
        picture = self.dataset.source.read_image(record)
        return self._flat(picture.array, picture.geometry, None)[0]

    def _flat(
        self, image: Image, geometry: Geometry, labels: LabelArray | None
    ) -> tuple[Image, LabelArray | None]:
        """Return an image with its labels as they are, and three orthogonal views of a volume."""
        if image.ndim == 3:
            return image, labels
        index = self.table.background_index
        background = self.table.ignore_index if index is None else index
        return orthogonal_views(image, geometry, labels, background=background)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {record.name: index for index, record in enumerate(self.dataset.records)}

    @cached_property
    def split_of(self) -> dict[str, str | None]:
        """Image -> its split, or None."""
        return {image.name: image.split for image in self.checked.facts.images}

    @cached_property
    def by_file(self) -> dict[str, Record]:
        """Image or label file, relative to the dataset folder -> its record."""
        root = self.checked.source.root
        return {
            path.relative_to(root).as_posix(): record
            for record in self.dataset.records
            for path in (*record.images, *record.labels)
            if path.is_relative_to(root)
        }

    @cached_property
    def holders(self) -> dict[str, set[str]]:
        """Image -> names of the classes in its mask."""
        names = self.table.names
        return {
            image.name: {
                names[role]
                for role in roles_of(image, self.table)
                if isinstance(role, int) and role < self.table.num_classes
            }
            for image in self.checked.facts.images
        }


def gallery_of(checked: CheckResult, *, palette: str = "own", side: int) -> Gallery:
    """Open a checked dataset for drawing, according to its proposal if the labels are unclear.

    Args:
        checked: Results of the checks.
        palette: A name in `PALETTES`, or a file of names and colours.
        side: Longer side of each picture in pixels.

    Raises:
        DataError: The meaning of the mask values is unclear, and there is no proposal.
        ConfigError: The palette is unknown.
    """
    table = checked.proposed_labels if checked.labels is None else None
    table = table or checked.settled_labels("the labels cannot be drawn")
    source = checked.source if checked.labels else as_proposed(checked)
    kind = Segments if "instance" in source.tasks else LabelMap
    dataset = Dataset(source, source.records, table, targets=(kind,), cache=None)
    return Gallery(checked, dataset, repainted(table, palette), side)


def _has_classes(record: Record) -> bool:
    """Return whether the image has classes as a whole."""
    return record.label is not None or record.tags is not None


def _blank(side: int) -> RGBImage:
    return np.full((side // 2, side, 3), 232, np.uint8)
