"""From disk to samples and back, one file a format; `FORMATS` is the table of contents."""

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, UnknownNameError, describe
from limner.formats.ade20k import Ade20k
from limner.formats.cityscapes import Cityscapes
from limner.formats.class_folders import ClassFolders
from limner.formats.class_lists import ClassLists
from limner.formats.coco_instances import CocoInstances
from limner.formats.coco_json import MOST_SNIFFED
from limner.formats.coco_panoptic import CocoPanoptic
from limner.formats.coco_stuff import CocoStuff
from limner.formats.coloured_masks import ColouredMasks
from limner.formats.cvat import Cvat
from limner.formats.dataset_yaml import read_dataset_file
from limner.formats.file_tree import FileTree, list_files, listed_once
from limner.formats.icdar_text import IcdarText
from limner.formats.index_cache import Dates, keep, recall
from limner.formats.instance_masks import InstanceMasks
from limner.formats.json_files import ends
from limner.formats.label_studio import LabelStudio
from limner.formats.labelme import Labelme
from limner.formats.listed_pairs import ListedPairs
from limner.formats.mapillary_vistas import MapillaryVistas, MapillaryVistas12
from limner.formats.mmocr_text import MmocrText
from limner.formats.paired_folders import PairedFolders, explain_no_pairs
from limner.formats.polyps import Polyps
from limner.formats.retinal_vessels import RetinalVessels
from limner.formats.source import Source
from limner.formats.voc import Voc
from limner.formats.voc_boxes import VocBoxes
from limner.formats.write_class_folders import WriteClassFolders
from limner.formats.write_class_list import WriteClassList
from limner.formats.write_coco_instances import WriteCocoInstances
from limner.formats.write_coco_panoptic import WriteCocoPanoptic
from limner.formats.write_labelme import WriteLabelme
from limner.formats.write_paired_folders import WritePairedFolders
from limner.formats.write_voc import WriteVoc
from limner.formats.write_voc_boxes import WriteVocBoxes
from limner.formats.write_yolo import WriteYolo
from limner.formats.writers import Writer
from limner.formats.yolo import Yolo

# The most specific first: of several formats that recognise a folder, the first is taken.
FORMATS: dict[str, type[Source]] = {
    source.name: source
    for source in (
        *(Cityscapes, MapillaryVistas, MapillaryVistas12, Ade20k, CocoStuff, RetinalVessels, Polyps),
        *(CocoPanoptic, CocoInstances),
        *(MmocrText, IcdarText),
        *(Voc, InstanceMasks, ListedPairs, ColouredMasks, PairedFolders),
        # Where masks lie beside drawings, the masks are what somebody exported to be trained on.
        *(Cvat, Labelme, LabelStudio, VocBoxes, Yolo),
        *(ClassLists, ClassFolders),
    )
}


WRITERS: dict[str, type[Writer]] = {
    writer.name: writer
    for writer in (
        *(WritePairedFolders, WriteVoc),
        *(WriteCocoInstances, WriteCocoPanoptic, WriteLabelme, WriteYolo, WriteVocBoxes),
        *(WriteClassFolders, WriteClassList),
    )
}
"""The formats that `limner convert` writes; each is read back by the row of the same name in `FORMATS`."""


def open_source(path: Path | str, settings: DatasetFile | None = None) -> Source:
    """Open a labelled folder through the format that recognises it.

    Args:
        path: The dataset folder.
        settings: Its settings; None reads `dataset.yaml` in the folder, if there is one.

    Raises:
        DataError: The folder is missing, empty, a file, or in no layout that limner knows.
        ConfigError: `dataset.yaml` cannot be used.
        UnknownNameError: `dataset.yaml` names a format that does not exist.
    """
    with listed_once(), _without_collector():
        return _open(Path(path).expanduser(), settings)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Spare Python its search for cycles, which looks at all of a million new paths again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _open(root: Path, settings: DatasetFile | None) -> Source:
    if root.is_dir():
        settings = read_dataset_file(root) if settings is None else settings
        if known := recall(root, settings, FORMATS):
            return known
    tree = list_files(root)
    if tree.is_empty:
        raise DataError(
            describe(
                "The dataset folder is empty",
                where=root,
                expected="images and their masks",
                mend="Put them there, such as in images/ and masks/, or name the folder that holds them.",
            )
        )
    assert settings is not None, "a folder that is listed is there"
    if settings.format is not None and settings.format not in FORMATS:
        raise UnknownNameError("format", settings.format, FORMATS)
    formats = [FORMATS[settings.format]] if settings.format else list(FORMATS.values())
    dates = Dates.of(root, tree)
    for source in formats:
        if source.recognise(root, settings):
            opened = source(root, settings)
            if dates is not None:
                keep(opened, settings, dates)
            return opened
    raise _unknown_layout(root, tree, settings, formats)


def _unknown_layout(
    root: Path, tree: FileTree, settings: DatasetFile, formats: Sequence[type[Source]]
) -> DataError:
    known = "".join(f"\n              {source.name}: {source.title}" for source in formats)
    found = explain_no_pairs(root, tree, settings) or _contents(root, tree)
    return DataError(
        describe(
            "No images with masks were found",
            where=root,
            found=found,
            expected=f"one of these layouts:{known}" if len(formats) > 1 else f"this layout:{known}",
            mend="Say which files belong together in dataset.yaml beside them, such as "
            "`images: photos/*.jpg` and `masks: drawn/{stem}.png`.",
        )
    )


def _contents(root: Path, tree: FileTree) -> str:
    counts = Counter(file.parent for file in tree.images)
    some = ", ".join(f"{count} in {folder}" for folder, count in counts.most_common(6))
    found = f"{len(tree.images)} image files ({some})" if counts else "no image files"
    kinds = Counter("".join(file.suffixes[-2:]).casefold() for file in tree.others)
    hints = [f"{kinds[suffix]} {name}" for suffix, name in _NOT_MASKS.items() if kinds[suffix]]
    hints += _other_exports(root, tree)
    hints += [f"the folder {folder}/, named like an image file" for folder in tree.image_named_folders[:3]]
    return found + (f"; and {', '.join(hints)}" if hints else "")


def _other_exports(root: Path, tree: FileTree) -> list[str]:
    """Say which of a tool's several exports lies here where limner reads another one."""
    found = []
    for suffix, (marks, said) in _OTHER_EXPORTS.items():
        files = [path for path in tree.others if path.suffix.lower() == suffix][:MOST_SNIFFED]
        path = next((p for p in files if all(mark in ends(root / p) for mark in marks)), None)
        found += [f"{path}, {said}"] if path else []
    return found


_OTHER_EXPORTS = {
    ".json": (
        (b'"annotation_id"', b'"original_width"'),
        "Label Studio's JSON-MIN (export `JSON` instead)",
    ),
}
"""Suffix -> what its ends hold, and what it is."""

_NOT_MASKS = {
    ".json": "JSON files (in none of the shapes that are read)",
    ".xml": "XML files (neither VOC's boxes nor CVAT's images)",
    ".nii.gz": "NIfTI volumes (these are not read yet)",
    ".nii": "NIfTI volumes (these are not read yet)",
    ".dcm": "DICOM files (these are not read yet)",
    ".ppm.gz": "images packed with gzip (unpack them first: gunzip *.gz)",
    ".zip": "ZIP archives (unpack them first)",
}
