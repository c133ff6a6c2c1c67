"""From disk to samples and back, one file for each format; `FORMATS` is the table of contents."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, UnknownNameError, describe
from limner.formats.archives.webdataset import WebDataset
from limner.formats.archives.webdataset_classes import WebDatasetClasses
from limner.formats.archives.write_webdataset import WriteWebDataset, WriteWebDatasetClasses
from limner.formats.classes.class_folders import ClassFolders
from limner.formats.classes.class_lists import ClassLists
from limner.formats.classes.tag_folders import TagFolders
from limner.formats.classes.tag_lists import TagLists
from limner.formats.classes.write_class_folders import WriteClassFolders
from limner.formats.classes.write_class_list import WriteClassList
from limner.formats.classes.write_tag_list import WriteTagList
from limner.formats.coco.coco_instances import CocoInstances
from limner.formats.coco.coco_panoptic import CocoPanoptic
from limner.formats.coco.write_coco_instances import WriteCocoInstances
from limner.formats.coco.write_coco_panoptic import WriteCocoPanoptic
from limner.formats.dataset_yaml import read_dataset_file
from limner.formats.file_tree import list_files, listed_once
from limner.formats.index_cache import Dates, keep, recall
from limner.formats.pairs.class_masks import ClassMasks
from limner.formats.pairs.coloured_masks import ColouredMasks
from limner.formats.pairs.instance_masks import InstanceMasks
from limner.formats.pairs.listed_pairs import ListedPairs
from limner.formats.pairs.paired_folders import PairedFolders
from limner.formats.pairs.write_paired_folders import WritePairedFolders
from limner.formats.public.ade20k import Ade20k
from limner.formats.public.camvid import CamVid
from limner.formats.public.cityscapes import Cityscapes
from limner.formats.public.coco_stuff import CocoStuff
from limner.formats.public.mapillary_vistas import MapillaryVistas, MapillaryVistas12
from limner.formats.public.polyps import Polyps
from limner.formats.public.retinal_vessels import RetinalVessels
from limner.formats.several_datasets import several_datasets
from limner.formats.source import Source
from limner.formats.tools.boxes_csv import BoxesCsv
from limner.formats.tools.create_ml import CreateMl
from limner.formats.tools.cvat import Cvat
from limner.formats.tools.datumaro import Datumaro
from limner.formats.tools.dota import Dota
from limner.formats.tools.label_studio import LabelStudio
from limner.formats.tools.labelme import Labelme
from limner.formats.tools.labelme_flags import LabelmeFlags
from limner.formats.tools.qupath import QuPath
from limner.formats.tools.run_length_csv import RunLengthCsv
from limner.formats.tools.supervisely import Supervisely
from limner.formats.tools.via import Via
from limner.formats.tools.voc import Voc
from limner.formats.tools.voc_boxes import VocBoxes
from limner.formats.tools.write_cvat import WriteCvat
from limner.formats.tools.write_label_studio import WriteLabelStudio
from limner.formats.tools.write_labelme import WriteLabelme
from limner.formats.tools.write_voc import WriteVoc
from limner.formats.tools.write_voc_boxes import WriteVocBoxes
from limner.formats.tools.write_yolo import WriteYolo
from limner.formats.tools.yolo import Yolo
from limner.formats.unknown_layout import other_file, unknown_layout
from limner.formats.unread_images import unread_images
from limner.formats.volumes.bids import Bids
from limner.formats.volumes.dicom_series import DicomSeries
from limner.formats.volumes.medical_decathlon import MedicalDecathlon
from limner.formats.volumes.modality_folders import ModalityFolders
from limner.formats.volumes.nnunet_raw import NnunetRaw
from limner.formats.volumes.structure_masks import StructureMasks
from limner.formats.volumes.write_dicom_series import WriteDicomSeries
from limner.formats.volumes.write_nnunet_raw import WriteNnunetRaw
from limner.formats.volumes.write_structure_masks import WriteStructureMasks
from limner.formats.words.icdar_text import IcdarText
from limner.formats.words.mmocr_text import MmocrText
from limner.formats.words.total_text import TotalText
from limner.formats.writers import Writer
from limner.storage.unfinished import refuse_unfinished
from limner.storage.user_paths import user_path

# The most specific first: of several formats that recognise a folder, the first is taken.
FORMATS: dict[str, type[Source]] = {
    source.name: source
    for source in (
        *(Cityscapes, MapillaryVistas, MapillaryVistas12, Ade20k, CocoStuff, CamVid, RetinalVessels, Polyps),
        *(NnunetRaw, MedicalDecathlon, StructureMasks, Bids, ModalityFolders, DicomSeries),
        *(WebDataset, WebDatasetClasses),
        *(CocoPanoptic, CocoInstances),
        *(MmocrText, IcdarText, TotalText),
        *(Voc, ClassMasks, InstanceMasks, ListedPairs, ColouredMasks, PairedFolders),
        # If there are both masks and drawings, the masks were exported for training.
        *(Cvat, LabelmeFlags, Labelme, LabelStudio, Supervisely, Via, Datumaro, QuPath, RunLengthCsv),
        *(VocBoxes, Yolo, Dota, CreateMl, BoxesCsv),
        *(TagLists, ClassLists, TagFolders, ClassFolders),
    )
}


WRITERS: dict[str, type[Writer]] = {
    writer.name: writer
    for writer in (
        *(WritePairedFolders, WriteVoc),
        *(WriteNnunetRaw, WriteStructureMasks, WriteDicomSeries),
        *(WriteCocoInstances, WriteCocoPanoptic, WriteLabelme, WriteYolo, WriteVocBoxes),
        *(WriteCvat, WriteLabelStudio),
        *(WriteClassFolders, WriteClassList, WriteTagList),
        *(WriteWebDataset, WriteWebDatasetClasses),
    )
}
"""The formats that `limner convert` writes; `FORMATS` has a reader of the same name for each."""


def open_source(path: Path | str, settings: DatasetFile | None = None) -> Source:
    """Open a labelled folder with the format that recognises it.

    Args:
        path: The dataset folder.
        settings: Its settings; None reads `dataset.yaml` in the folder, if there is one.

    Raises:
        DataError: The folder is missing, empty, a file, in no layout that limner knows, or not finished.
        ConfigError: `dataset.yaml` cannot be used.
        UnknownNameError: `dataset.yaml` names a format that does not exist.
    """
    with listed_once(), _without_collector():
        return _open(user_path(path), settings)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Pause Python's garbage collector, which would visit a million new paths again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _open(root: Path, settings: DatasetFile | None) -> Source:
    if root.is_dir():
        refuse_unfinished(root)
        settings = read_dataset_file(root) if settings is None else settings
        if known := recall(root, settings, FORMATS):
            return known
    elif other := other_file(root):
        raise other
    tree = list_files(root)
    if tree.is_empty:
        raise DataError(
            describe(
                "The dataset folder is empty",
                where=root,
                expected="images and their masks",
                fix="Put them there, such as in images/ and masks/, or name the folder that holds them.",
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
            opened.findings = (
                *several_datasets(opened, tree, settings, formats),
                *opened.findings,
                *unread_images(tree, opened.records, root),
            )
            if dates is not None:
                keep(opened, settings, dates)
            return opened
    raise unknown_layout(root, tree, settings, formats)
