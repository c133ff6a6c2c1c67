"""DICOM: a folder of files for each series, with labels as DICOM SEG or as volumes of the series' name."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import PurePosixPath

from limner.core.errors import DataError, describe
from limner.core.labels import LabelClass, LabelTable, ValueMap, distinct_color
from limner.core.picture import Picture
from limner.core.sample import Record
from limner.formats.file_tree import FileTree
from limner.formats.folder_words import read_folder_name
from limner.formats.label_grid import on_image_grid
from limner.formats.pairs.affixes import bare_label_name
from limner.formats.volumes.cases import CaseFiles, CaseFolders
from limner.images.file_names import image_stem, is_volume_name
from limner.images.masks import read_values
from limner.images.pixels import Reduce
from limner.images.volumes.dicom import is_dicom_name, read_series, series_geometry
from limner.images.volumes.dicom_seg import read_segmentation, segment_names

MIN_SHARE = 0.5
"""Minimum share of the files in a folder that are DICOM by name."""


class DicomSeries(CaseFolders):
    """``images/case_1/*.dcm`` with ``labels/case_1.nii.gz`` or ``labels/case_1/seg.dcm``."""

    name = "dicom-series"
    title = "DICOM: a folder for each series, and its labels as DICOM SEG or a volume of the series' name"
    what = "DICOM series"
    files_are_channels = False

    @classmethod
    def cases(cls, tree: FileTree) -> Mapping[str, CaseFiles]:
        """Pair folders of DICOM files with labels of the same case; folders of labels are named so."""
        series, labels = _series_and_labels(tree)
        if not series or not labels:
            return {}
        found: dict[str, CaseFiles] = {}
        for folder, files in series.items():
            own = labels.get(_case(folder), [])
            # Channels of other layouts are files; here all files are slices of one.
            found[folder] = CaseFiles({path.name: path for path in files}, tuple(own[:1]))
        return found if any(files.labels for files in found.values()) else {}

    def read_image(self, record: Record, *, reduce: Reduce | None = None) -> Picture:
        """Read the slices of a series, always at full size.

        Raises:
            DataError: They cannot be read, or form no volume.
        """
        return read_series(record.images)

    def read_values(self, record: Record) -> ValueMap:
        """Read the labels of a series.

        Raises:
            DataError: They cannot be read, or a DICOM SEG is not on the grid of its series.
        """
        if not record.labels:
            raise DataError(describe("The series has no labels", where=record.image.parent))
        label = record.labels[0]
        if is_volume_name(label.name):
            grid = series_geometry(record.images) if self.settings.label_grid == "resample" else None
            return on_image_grid(record, self.settings, lambda: read_values(label), grid=grid)
        return read_segmentation(label, record.images)

    def declared_labels(self) -> LabelTable | None:
        """Return the classes of `dataset.yaml`, or those that the segmentations name."""
        table = super().declared_labels()
        if table is not None or not self._segments:
            return table
        classes = [
            LabelClass(n, (value,), distinct_color(value)) for value, n in sorted(self._segments.items())
        ]
        return LabelTable((LabelClass("background", (0,), (0, 0, 0)), *classes))

    @cached_property
    def _segments(self) -> dict[int, str]:
        """Number -> name of the segments of all cases; the first name of a number counts."""
        names: dict[int, str] = {}
        for record in self.records:
            for path in record.labels:
                if not is_volume_name(path.name):
                    names = segment_names(path) | names
        taken: dict[str, int] = {}
        return {
            value: name if name and taken.setdefault(name, value) == value else f"segment {value}"
            for value, name in names.items()
        }


def _series_and_labels(
    tree: FileTree,
) -> tuple[dict[str, list[PurePosixPath]], dict[str, list[PurePosixPath]]]:
    """Return folder -> the files of a series, and case -> its labels."""
    folders: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for path in tree.others:
        folders[path.parent].append(path)
    series: dict[str, list[PurePosixPath]] = {}
    labels: dict[str, list[PurePosixPath]] = defaultdict(list)
    for folder, paths in folders.items():
        dicoms = sorted(path for path in paths if is_dicom_name(path.name))
        if len(dicoms) < MIN_SHARE * len(paths) or not folder.name:
            continue
        if _is_of_labels(folder):
            for path in dicoms:
                labels[_case((folder if len(dicoms) == 1 else path).as_posix())].append(path)
        else:
            series[folder.as_posix()] = dicoms
    for path in tree.images:
        if is_volume_name(path.name) and _is_of_labels(path.parent):
            labels[_case(path.with_name(image_stem(path.name)).as_posix())].append(path)
    return series, labels


def _is_of_labels(folder: PurePosixPath) -> bool:
    return any(read_folder_name(part).role == "label" for part in folder.parts)


def _case(place: str) -> str:
    """Return the first part of a path that names neither a role nor a split, without usual affixes."""
    for part in PurePosixPath(place).parts:
        name = read_folder_name(part)
        if name.role is None and name.split is None and name.words:
            return bare_label_name(part)
    return bare_label_name(PurePosixPath(place).name)
