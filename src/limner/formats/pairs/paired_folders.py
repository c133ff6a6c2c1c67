"""Two folders (or one) of images and masks that are paired by name: the most common layout."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import LabelClass, LabelTable, ValueMap, distinct_color
from limner.core.sample import Record
from limner.core.segments import Segments, segments_of_index
from limner.formats.file_tree import FileTree, list_files
from limner.formats.format_codes import format_finding
from limner.formats.label_grid import on_image_grid
from limner.formats.pairs.folder_looks import is_photograph, roles_by_content
from limner.formats.pairs.folder_roles import Roles, assign_roles, roles_of_tree
from limner.formats.pairs.pairing import Item, Pairing, pair
from limner.formats.pairs.pairing_findings import folders_of, pairing_findings, tree_findings
from limner.formats.pairs.patterns import roles_by_pattern
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.images.file_names import image_stem, without_suffix
from limner.images.masks import read_values
from limner.storage.file_states import state_of
from limner.storage.text_files import read_text

_MAX_LOOKED_AT = 2


class PairedFolders(Source):
    """Images and index masks paired by name, whatever the names of folders and affixes."""

    name = "paired-folders"
    title = "a folder of images and a folder of masks (or one folder of both), paired by name"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        layout = _layout(root, list_files(root), settings)
        return layout.evidence if layout.pairing.label_of or layout.pairing.ambiguous else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image."""
        tree = list_files(self.root)
        paths = self.paths(tree)
        if paths is tree.images:
            layout = _layout(self.root, tree, self.settings)
        else:
            layout = _Layout.read(paths, self.settings, assign_roles(paths))
        records = layout.records(self.root)
        lists = lists_beside(tree, records)
        records, split_findings = apply_split_lists(records, self.root, self.settings, lists)
        roles, pairing = layout.roles, layout.pairing
        findings = pairing_findings(roles.images, pairing, roles.other_labels)
        if pairing.label_of:
            places = folders_of(pairing.label_of.values())
            findings.insert(0, format_finding("layout", places, f"{layout.evidence}."))
        self._set_tasks()
        return records, (*findings, *tree_findings(tree), *split_findings)

    def _set_tasks(self) -> None:
        if self.settings.encoding.kind == "objects":
            self.tasks = ("semantic", "instance", "panoptic", "detection")

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore the tasks; records and settings are enough for all else."""
        self._set_tasks()

    def paths(self, tree: FileTree) -> Sequence[PurePosixPath]:
        """Return the files to pair: those named like images."""
        return tree.images

    def cache_state(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return an empty state, since records and settings are enough."""
        return {}

    def read_values(self, record: Record) -> ValueMap:
        """Read the mask by the encoding in `dataset.yaml`."""
        if not record.labels:
            raise DataError(describe("The image has no mask", where=record.image))
        encoding = self.settings.encoding
        return on_image_grid(record, self.settings, lambda: read_values(record.labels[0], encoding))

    def names_of_values(self, record: Record) -> Mapping[int, str]:
        """Return the names that ``labelme_json_to_dataset`` wrote beside a mask with its own numbers."""
        path = _list_of_names(record)
        if path is None:
            return {}
        with suppress(OSError, ValueError):  # no such file, or no text
            return dict(enumerate(line.strip() for line in read_text(path).splitlines()))
        return {}

    def reading_state(self, record: Record) -> str:
        """Return the state of the list of names, which is no file of the record."""
        path = _list_of_names(record)
        return "" if path is None else state_of([path], here=True)

    def read_segments(self, record: Record) -> Segments:
        """Read each number of a mask as an object, and 0 as the background, if masks number their objects.

        Raises:
            DataError: The mask cannot be read, or the masks hold classes.
        """
        if self.settings.encoding.kind != "objects":
            return super().read_segments(record)
        if not record.labels:
            raise DataError(describe("The image has no mask", where=record.image))
        values = read_values(record.labels[0])
        numbers, places = np.unique(values, return_inverse=True)
        return segments_of_index(1 + places.reshape(values.shape), [int(number != 0) for number in numbers])

    def declared_labels(self) -> LabelTable | None:
        """Return the table of `dataset.yaml`; of masks that number objects, background and one class."""
        table = super().declared_labels()
        if table is None and self.settings.encoding.kind == "objects":
            return LabelTable(
                (
                    LabelClass("background", (0,), (0, 0, 0), is_thing=False),
                    LabelClass("object", (1,), distinct_color(1), is_thing=True),
                ),
                encoding=self.settings.encoding,
            )
        return table


def _list_of_names(record: Record) -> Path | None:
    """Return where the list would be of a mask that has a folder of its own with its image."""
    own = (
        record.labels and record.labels[0].stem == "label" and record.labels[0].parent == record.image.parent
    )
    return record.labels[0].with_name("label_names.txt") if own else None


def explain_no_pairs(root: Path, tree: FileTree, settings: DatasetFile) -> str:
    """Return a sentence on why existing images and masks were not paired, or an empty string."""
    roles = _layout(root, tree, settings).roles
    if not (roles.images and roles.labels):
        return ""
    return (
        f"images in {folders_of(roles.images)} (such as {roles.images[0].path.name}) and masks in "
        f"{folders_of(roles.labels)} (such as {roles.labels[0].path.name}), but no two names match"
    )


def masks_by_name(root: Path, tree: FileTree, settings: DatasetFile) -> tuple[PurePosixPath, ...]:
    """Return the masks that are paired with images by name, sorted."""
    labels = _layout(root, tree, settings).pairing.label_of.values()
    return tuple(sorted(label.path for label in labels))


@dataclass(frozen=True)
class _Layout:
    """Roles and pairs of the files, from their names."""

    roles: Roles
    pairing: Pairing
    regions: dict[Item, Item]
    is_by_content: bool = False

    @classmethod
    def of(cls, roles: Roles, *, is_by_content: bool = False) -> "_Layout":
        regions = pair(roles.images, roles.valid_regions).label_of
        return cls(roles, pair(roles.images, roles.labels), regions, is_by_content)

    @classmethod
    def read(cls, paths: Sequence[PurePosixPath], settings: DatasetFile, roles: Roles) -> "_Layout":
        if settings.images or settings.masks or settings.valid_region:
            roles = roles_by_pattern(paths, settings, roles)
        return cls.of(roles)

    @property
    def evidence(self) -> str:
        paired, total = len(self.pairing.label_of), len(self.roles.images)
        sentence = (
            f"{paired} of {total} images in {folders_of(self.roles.images)} have a mask in "
            f"{folders_of(self.pairing.label_of.values())}, paired {self.pairing.way}"
        )
        if self.is_by_content:
            sentence += "; the folder of masks was recognised by its few colours or values"
        if self.regions:
            sentence += f"; {folders_of(self.regions.values())} taken as the field of view, not as labels"
        return sentence

    def records(self, root: Path) -> tuple[Record, ...]:
        records = []
        for image, name in _unique_names(self.roles.images).items():
            label, region = self.pairing.label_of.get(image), self.regions.get(image)
            labels = (root / label.path,) if label else ()
            split = image.split or (label.split if label else None)
            records.append(
                Record(name, root / image.path, labels, split, root / region.path if region else None)
            )
        return tuple(sorted(records, key=lambda record: record.name))


def _layout(root: Path, tree: FileTree, settings: DatasetFile) -> _Layout:
    """Pair all files once, however many formats ask."""
    key = ("layout", settings.images, settings.masks, settings.valid_region)
    if key not in tree.remembered:
        tree.remembered[key] = _by_name_or_content(root, tree, settings)
    layout: _Layout = tree.remembered[key]
    return layout


def _by_name_or_content(root: Path, tree: FileTree, settings: DatasetFile) -> _Layout:
    """Pair by folder names; if that pairs nothing, look into folders whose names have no known role."""
    layout = _Layout.read(tree.images, settings, roles_of_tree(tree))
    if not (settings.images or settings.masks) and _are_photographs(root, layout.pairing):
        return _Layout.of(Roles(layout.roles.everything(), (), (), ()))
    if layout.pairing.label_of or layout.pairing.ambiguous or settings.images or settings.masks:
        return layout
    roles = roles_by_content(root, tree)
    return _Layout.of(roles, is_by_content=True) if roles else layout


def _are_photographs(root: Path, pairing: Pairing) -> bool:
    """Tell whether what would be masks are photographs beside others that differ in their suffix alone."""
    pairs = pairing.label_of.items()
    if not pairs or not all(one.path.with_suffix("") == other.path.with_suffix("") for one, other in pairs):
        return False
    return all(is_photograph(root / mask.path) for _, mask in islice(pairs, _MAX_LOOKED_AT))


def _unique_names(images: tuple[Item, ...]) -> dict[Item, str]:
    """Name each image by site and file name, or by its path if that is not unique."""
    names = {image: "/".join((*image.site, image_stem(image.path.name))) for image in images}
    if len(set(names.values())) < len(names):
        names = {image: without_suffix(image.path).as_posix() for image in images}
    if len(set(names.values())) < len(names):
        names = {image: image.path.as_posix() for image in images}
    return names
