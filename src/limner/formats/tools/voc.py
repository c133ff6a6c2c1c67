"""The layout of PASCAL VOC: JPEGImages, SegmentationClass (or SegmentationClassPNG), ImageSets.

Also what labelme's `labelme2voc.py` writes. 255 marks pixels that are not scored (object borders).
"""

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import MOST_FILES, Finding
from limner.core.labels import LabelClass, LabelTable, ValueMap, distinct_color
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.format_codes import format_finding
from limner.formats.named_classes import refuse_names, with_values_if_named
from limner.formats.pairs.color_tables import find_table, label_table, show_colors
from limner.formats.pairs.known_layout import Known, completed
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_below, lists_in
from limner.images.masks import read_values
from limner.storage.text_files import read_lines

_IMAGES = "JPEGImages"
_MASKS = ("SegmentationClassPNG", "SegmentationClass")
"""Older labelme versions write both, with NumPy arrays in SegmentationClass."""
_NAME_FILES = ("class_names.txt", "labels.txt", "labelmap.txt")

VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train"),
    "tvmonitor",
)
"""Values 0 to 20 of the PASCAL VOC challenges from 2007 on."""
_VOC_STEM = re.compile(r"(2007|2008|2009|2010|2011|2012)_\d{6}")


class Voc(Source):
    """PASCAL VOC's segmentation layout, at the folder itself or in folders below it."""

    name = "voc"
    title = "JPEGImages/, SegmentationClass/ or SegmentationClassPNG/, and ImageSets/ lists"
    ignored_by_format: ClassVar[tuple[int, ...]] = (255,)

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        super().__init__(root, _with_color_table(root, settings))

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.images or settings.masks:
            return None
        places = _places(list_files(root))
        if not places:
            return None
        return " and ".join(f"{_shown(place)}{_IMAGES}/ beside {masks}/" for place, masks in places.items())

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List the images that have a mask or are in a split list."""
        tree = list_files(self.root)
        self._name_file = _name_file(tree)
        records: list[Record] = []
        findings: list[Finding] = []
        for place, masks in _places(tree).items():
            found, notes = self._index_place(tree, place, masks, _shown(place) if place.parts else "")
            records += found
            findings += notes
        return tuple(sorted(records, key=lambda r: r.name)), tuple(findings)

    def _index_place(
        self, tree: FileTree, place: PurePosixPath, masks: str, prefix: str
    ) -> tuple[list[Record], list[Finding]]:
        label_of = {path.stem: path for path in tree.images if path.parent == place / masks}
        images = [path for path in tree.images if path.parent == place / _IMAGES]
        records = []
        for path in images:
            label = label_of.get(path.stem)
            labels = (self.root / label,) if label else ()
            records.append(Record(prefix + path.stem, self.root / path, labels))
        lists = lists_in(tree, place / "ImageSets" / "Segmentation") or lists_below(tree, place)
        listed, findings = apply_split_lists(tuple(records), self.root, self.settings, lists)
        # VOC 2012 itself has 17125 images, of which 2913 are segmented; the others are not part of the task.
        kept = [record for record in listed if record.labels or record.split]
        stems = {path.stem for path in images}
        return kept, [
            *findings,
            *_gap_findings([r for r in kept if not r.labels], len(listed) - len(kept), self.root),
            *_orphan_findings([path for stem, path in label_of.items() if stem not in stems]),
        ]

    def read_values(self, record: Record) -> ValueMap:
        """Read the mask: palette indices, 255 on object borders."""
        if not record.labels:
            raise DataError(describe("The image has no mask", where=record.image))
        return read_values(record.labels[0], self.settings.encoding)

    def declared_labels(self) -> LabelTable | None:
        """Return the user's classes, labelme's class list, or VOC's own classes; 255 is always ignored."""
        names = self._listed_names() or (VOC_NAMES if self._is_the_challenge() else ())
        classes = tuple(LabelClass(name, (i,), distinct_color(i)) for i, name in enumerate(names))
        settings = with_values_if_named(self.settings, classes, where=self.root)
        refuse_names(settings, self.root)
        table = settings.label_table()
        if table is not None:
            known = {*table.trained_as}
            ignored = tuple(v for v in self.ignored_by_format if v not in known)
            return replace(table, ignored_values=(*table.ignored_values, *ignored))
        if not names:
            return None
        return LabelTable(classes, (*self.settings.ignored_values, *self.ignored_by_format))

    def _listed_names(self) -> tuple[str, ...]:
        """Return the names in labelme's list, one per line in value order; `__ignore__` has no value."""
        if self._name_file is None:
            return ()
        lines = read_lines(self.root / self._name_file, what="The list of class names")
        names = [line.strip() for line in lines if line.strip() and line.strip() != "__ignore__"]
        names = ["background" if name == "_background_" else name for name in names]
        if len({*names}) < len(names):
            raise DataError(
                describe(
                    "The list of class names repeats a name",
                    where=self.root / self._name_file,
                    found=", ".join(sorted({name for name in names if names.count(name) > 1})[:5]),
                    expected="each name once, in the order of the mask values",
                    fix="Rename or remove one of them.",
                )
            )
        return tuple(names)

    def _is_the_challenge(self) -> bool:
        """Tell whether these are PASCAL's own images, whose values have known names."""
        stems = [PurePosixPath(record.name).name for record in self.records]
        return bool(stems) and all(_VOC_STEM.fullmatch(stem) for stem in stems)


def _places(tree: FileTree) -> dict[PurePosixPath, str]:
    """Return folder with images and masks -> name of its mask folder."""
    folders = tree.images_in
    places: dict[PurePosixPath, str] = {}
    for folder in sorted(folders):
        if folder.name != _IMAGES:
            continue
        masks = next((name for name in _MASKS if folder.parent / name in folders), None)
        if masks:
            places[folder.parent] = masks
    return places


def _with_color_table(root: Path, settings: DatasetFile) -> DatasetFile:
    """Return the settings with the classes and colours of CVAT's labelmap.txt."""
    tree = list_files(root)
    folders = [place / masks for place, masks in _places(tree).items()]
    found = find_table(root, tree)
    if found is None or not all(row.color for row in found[1]):
        return settings
    in_color = show_colors(root, (path for path in tree.images if path.parent in folders))
    table = label_table(found[1], in_color=in_color)
    return completed(settings, Known(f"{found[0]} names the classes", table), root) if table else settings


def _name_file(tree: FileTree) -> PurePosixPath | None:
    for place in _places(tree):
        for folder in (place, *place.parents):
            found = next((folder / name for name in _NAME_FILES if folder / name in tree.others), None)
            if found:
                return found
    return None


def _shown(place: PurePosixPath) -> str:
    return f"{place}/" if place.parts else ""


def _gap_findings(listed: list[Record], num_others: int, root: Path) -> list[Finding]:
    findings = []
    if listed:
        files = [record.image.relative_to(root).as_posix() for record in listed[:MOST_FILES]]
        findings.append(
            format_finding(
                "image-without-mask",
                files[0],
                f"{len(listed)} images of the split lists have no mask: left out of training and scoring.",
                expected="a mask of the same name",
                fix="Add the masks, or take the names out of the lists.",
                files=files,
                count=len(listed),
            )
        )
    if num_others:
        found = f"{num_others} images have no mask and are in no list; they are not part of this dataset."
        findings.append(format_finding("image-not-segmented", _IMAGES, found, count=num_others))
    return findings


def _orphan_findings(masks: list[PurePosixPath]) -> list[Finding]:
    if not masks:
        return []
    files = [path.as_posix() for path in masks]
    found = f"{len(masks)} masks have no image in {_IMAGES}; they are not used."
    return [format_finding("mask-without-image", files[0], found, files=files)]
