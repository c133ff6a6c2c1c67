"""Cityscapes: leftImg8bit/ with gtFine/ (or gtCoarse/); any of its label files gives the 19 trained classes.

labelIds are used if they exist, else labelTrainIds, else the polygons are drawn, which gives
labelIds. The published labels of the test images are blank: such a split counts as unlabelled.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from limner.core.errors import DataError
from limner.core.finding import Finding
from limner.core.labels import IGNORE_INDEX, ValueMap
from limner.core.sample import Record
from limner.core.segments import Segments, segments_of_index
from limner.formats.file_tree import FileTree, list_files
from limner.formats.format_codes import format_finding
from limner.formats.pairs.known_layout import Known, KnownLayout
from limner.formats.public import class_tables
from limner.formats.shapes.valid_shapes import stated_size
from limner.images.masks import read_values
from limner.storage.file_states import state_of
from limner.storage.json_files import read_json_object, unreadable
from limner.storage.usable_numbers import points_in

_IMAGE = "_leftImg8bit"
_POLYGONS = "polygons"
_KINDS = ("labelIds", "labelTrainIds", _POLYGONS)
WHAT = "The polygons"
EXPECTED = "imgWidth, imgHeight, and objects with a known label and a polygon"
OBJECTS_FROM = 1000
"""In instanceIds, smaller values are classes."""

_MAX_LOOKED_AT = 3
"""Number of test masks to check for published labels."""


class Cityscapes(KnownLayout):
    """``leftImg8bit/train/CITY/NAME_leftImg8bit.png``, ``gtFine/train/CITY/NAME_gtFine_labelIds.png``."""

    name = "cityscapes"
    title = "leftImg8bit/ and gtFine/ (or gtCoarse/), by labelIds, labelTrainIds or polygons"

    tasks: tuple[str, ...] = ("semantic", "instance", "panoptic", "detection")
    """Objects are read from instanceIds; without them only ``semantic`` remains."""

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise the layout by the ends of the names, fine labels before coarse ones."""
        if not any(stem.endswith(_IMAGE) for stem in tree.stems):
            return None
        found = {pair for path in (*tree.images, *tree.others) if (pair := _kind(path))}
        order = [(labels, kind) for labels in ("gtFine", "gtCoarse") for kind in _KINDS]
        best = next((pair for pair in order if pair in found), None)
        if best is None:
            return None
        labels, kind = best
        by_train_id = kind == "labelTrainIds"
        return Known(
            f"Cityscapes, by *{_IMAGE} and *_{labels}_{kind}: 19 classes are trained, all else is ignored",
            class_tables.cityscapes_train_ids() if by_train_id else class_tables.cityscapes(),
            images=f"**/{{stem}}{_IMAGE}.*",
            masks=f"**/{{stem}}_{labels}_{kind}.{'json' if kind == _POLYGONS else 'png'}",
        )

    def paths(self, tree: FileTree) -> tuple[PurePosixPath, ...]:
        """Return the images and the polygon files."""
        return (*tree.images, *(path for path in tree.others if _kind(path)))

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image; test images whose labels are blank count as unlabelled."""
        records, findings = super().index()
        # Other files are other views of the same labels; of them, instanceIds are read for objects.
        findings = tuple(found for found in findings if found.code != "other-labels-not-used")
        there = {self.root / path for path in list_files(self.root).images}
        if not all(_instance_ids(label) in there for record in records for label in record.labels):
            self.tasks = ("semantic",)
        test = [record for record in records if record.split == "test" and record.labels]
        if not test or not all(self._is_blank(record) for record in test[:_MAX_LOOKED_AT]):
            return records, findings
        files = tuple(record.image.relative_to(self.root).as_posix() for record in test)
        said = format_finding(
            "split-unlabelled",
            files[0],
            f"The labels of the {len(test)} test images are blank, as Cityscapes publishes them: left out.",
            files=files,
        )
        bare = tuple(replace(r, labels=()) if r.split == "test" else r for r in records)
        return bare, (*findings, said)

    def _is_blank(self, record: Record) -> bool:
        table = self.settings.label_table()
        assert table is not None, "the layout settles the classes"
        try:
            values = np.unique(self.read_values(record))
        except DataError:  # a damaged file is a finding of its own
            return False
        return not {int(v) for v in values} & {v for c in table.classes for v in c.values}

    def reading_state(self, record: Record) -> str:
        """Return the state of the instanceIds, which are no file of the record."""
        if self.tasks == ("semantic",) or not record.labels:
            return ""
        return state_of([_instance_ids(record.labels[0])], here=True)

    def read_segments(self, record: Record) -> Segments:
        """Read instanceIds: the class, or 1000 times the class plus the object's number.

        Raises:
            DataError: There are no instanceIds, or they cannot be read.
        """
        if self.tasks == ("semantic",) or not record.labels:
            return super().read_segments(record)
        numbers = read_values(_instance_ids(record.labels[0]))
        found, index = np.unique(numbers, return_inverse=True)
        ids = np.where(found >= OBJECTS_FROM, found // OBJECTS_FROM, found)
        # Pixels of objects that are not separated hold the class alone.
        crowd = [number < OBJECTS_FROM and number in _countable() for number in found.tolist()]
        if record.labels[0].stem.endswith("labelTrainIds"):
            trained = class_tables.cityscapes().trained_as
            ids = np.array([trained.get(number, IGNORE_INDEX) for number in ids.tolist()])
        return segments_of_index(index.reshape(numbers.shape) + 1, ids.tolist(), crowd)

    def read_values(self, record: Record) -> ValueMap:
        """Read the mask, or draw the polygons with their labelIds."""
        if record.labels and record.labels[0].suffix == ".json":
            return draw_polygons(record.labels[0])
        return super().read_values(record)


def draw_polygons(path: Path) -> ValueMap:
    """Draw a polygons file: (H, W) uint8 of label ids, later objects over earlier ones.

    A group, such as ``cargroup``, counts as its class. Objects that Cityscapes does not number (license
    plates) and deleted ones are left out.

    Raises:
        DataError: It is not a polygons file of Cityscapes, or names an unknown label.
    """
    ids = class_tables.cityscapes_ids()
    whole = read_json_object(path, what=WHAT, expected=EXPECTED, lists="objects")
    size = stated_size(whole.number("imgHeight"), whole.number("imgWidth"))
    if size is None:
        raise _unreadable(path, "no usable imgWidth and imgHeight")
    canvas = PillowImage.new("L", size[::-1], ids["unlabeled"])
    pen = ImageDraw.Draw(canvas)
    for number, drawn in enumerate(whole.children("objects")):
        label, points = drawn.text("label"), points_in(drawn.value("polygon"))
        label = label.removesuffix("group") if label not in ids else label
        if drawn.is_set("deleted") or label == "license plate":
            continue
        if label not in ids or points is None or len(points) < 4:
            raise _unreadable(path, f"object {number} is {drawn}")
        pen.polygon(points, fill=ids[label])
    return np.asarray(canvas)


def _unreadable(path: Path, found: str) -> DataError:
    fix = "Replace it with the file of the download, or add the labelIds PNG beside it."
    return unreadable(path, what=WHAT, found=found, expected=EXPECTED, fix=fix)


def _instance_ids(label: Path) -> Path:
    """Return the instanceIds that belong to any label file."""
    return label.with_name(f"{label.stem.rsplit('_', 1)[0]}_instanceIds.png")


def _countable() -> set[int]:
    table = class_tables.cityscapes()
    return {value for c in table.classes if c.is_thing for value in c.values}


def _kind(path: PurePosixPath) -> tuple[str, str] | None:
    """Return which labels a file holds, such as ``("gtFine", "labelIds")``, or None."""
    parts = path.stem.rsplit("_", 2)
    if len(parts) == 3 and parts[1] in ("gtFine", "gtCoarse") and parts[2] in _KINDS:
        return parts[1], parts[2]
    return None
