"""DICOM: a folder of files for each series, with labels as DICOM SEG or as volumes of the series' name."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import LabelClass, LabelTable, ValueMap, distinct_color
from limner.core.picture import Picture
from limner.core.sample import Record
from limner.formats.file_tree import FileTree
from limner.formats.folder_words import read_folder_name
from limner.formats.label_grid import on_image_grid
from limner.formats.pairs.affixes import bare_label_name
from limner.formats.problems import Problems
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

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each case; segments of one name are one class, whatever their numbers."""
        self.records, findings = super().index()
        problems = Problems()
        if clash := _clashing(self._names_in):
            path, found = clash
            place = path.relative_to(self.root).as_posix()
            problems.add("categories-numbered-differently", place, found)
        return self.records, (*findings, *problems.findings(self.terms))

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
        numbers = read_segmentation(label, record.images)
        value_of = self._value_of.get(label, {})
        if all(number == value for number, value in value_of.items()):
            return numbers
        values = np.zeros_like(numbers, np.uint16)
        for number, value in value_of.items():
            values[numbers == number] = value
        return values

    def reading_state(self, record: Record) -> str:
        """Return the values of the segments, which the names in other files may change."""
        return repr([self._value_of.get(path) for path in record.labels])

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
    def _names_in(self) -> dict[Path, dict[int, str]]:
        """Segmentation -> number and name of its segments; without those that cannot be read."""
        found: dict[Path, dict[int, str]] = {}
        for path in (path for record in self.records for path in record.labels):
            if not is_volume_name(path.name):
                with suppress(DataError):
                    found[path] = _named(segment_names(path))
        return found

    @cached_property
    def _value_of(self) -> dict[Path, dict[int, int]]:
        """Segmentation -> number of a segment -> its value in all cases."""
        value = {name: value for value, name in self._segments.items()}
        return {path: {n: value[name] for n, name in names.items()} for path, names in self._names_in.items()}

    @cached_property
    def _segments(self) -> dict[int, str]:
        """Value -> name: the numbers in the files where these agree, else from 1 as the names appear."""
        listed = [row for names in self._names_in.values() for row in names.items()]
        if _clashing(self._names_in) is None:
            return dict(listed)
        return dict(enumerate(dict.fromkeys(name for _, name in listed), start=1))


def _named(segments: Mapping[int, str]) -> dict[int, str]:
    """Return the names of the segments of a file; one without a name, or with another's, has its number."""
    taken: dict[str, int] = {}
    return {
        number: name if name and taken.setdefault(name, number) == number else f"segment {number}"
        for number, name in segments.items()
    }


def _clashing(names_in: Mapping[Path, Mapping[int, str]]) -> tuple[Path, str] | None:
    """Return the first file in which a number has another name, or a name another number, and what it is."""
    name_of: dict[int, str] = {}
    number_of: dict[str, int] = {}
    for path, names in names_in.items():
        for number, name in names.items():
            other, elsewhere = name_of.setdefault(number, name), number_of.setdefault(name, number)
            if other != name:
                return path, f"segment {number} is {name!r} here and {other!r} in another file"
            if elsewhere != number:
                return path, f"{name!r} is segment {number} here and segment {elsewhere} in another file"
    return None


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
