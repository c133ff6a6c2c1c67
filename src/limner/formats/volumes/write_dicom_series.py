"""Write ``images/case/*.dcm`` and ``labels/case/seg.dcm``, a DICOM SEG, for DICOM series."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.labels import LabelTable
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.volumes.dicom_series import DicomSeries
from limner.formats.writers import Entry, Outgoing, Writer
from limner.images.volumes.dicom import is_dicom
from limner.images.volumes.dicom_seg import write_segmentation
from limner.storage.whole_files import write_whole


class WriteDicomSeries(Writer):
    """Segments are numbered from 1 in the order of the classes, the background aside."""

    name = DicomSeries.name
    volumes = "only"
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "instances": "objects of a class are united",
        "field-of-view": "become background",
        "unreadable": "left out",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Copy the files of the series, and write its labels.

        Raises:
            DataError: The image is no DICOM series, or voxels are ignored, which segments cannot say.
        """
        if not is_dicom(image.image):
            raise _unfit(image, "a volume of another kind", "Convert DICOM series, or write nnunet-raw.")
        for path in image.files:
            write_whole(root / "images" / image.stem / path.name, path.read_bytes())
        if image.labels is not None:
            if (image.labels == labels.ignore_index).any():
                raise _unfit(image, "voxels that are ignored", "Write structure-masks, which holds them.")
            values, names = _numbered(image.labels, labels)
            target = root / "labels" / image.stem / "seg.dcm"
            write_segmentation(target, values, image.files, names)
        return {}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the settings; segments name the classes."""
        write_dataset_file(root, {"format": self.name})


def _numbered(trained: np.ndarray, labels: LabelTable) -> tuple[np.ndarray, dict[int, str]]:
    """Return the numbers of segments, 0 for the background, and their names."""
    classes = labels.foreground_indices
    values = np.zeros(trained.shape, np.uint16)
    for number, index in enumerate(classes, start=1):
        values[trained == index] = number
    return values, {number: labels.names[index] for number, index in enumerate(classes, start=1)}


def _unfit(image: Outgoing, found: str, fix: str) -> DataError:
    return DataError(describe("This cannot be written as DICOM SEG", where=image.image, found=found, fix=fix))
