"""Layouts of public datasets: pairs by name, with known mask values."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from limner.core.dataset_file import DatasetFile
from limner.core.finding import Finding
from limner.core.labels import LabelTable
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.format_codes import format_finding
from limner.formats.named_classes import with_values_if_named
from limner.formats.pairs.paired_folders import PairedFolders


@dataclass(frozen=True)
class Known:
    """Facts that a layout implies; `dataset.yaml` takes precedence over each.

    Attributes:
        evidence: One sentence on how the layout was recognised and what it implies.
        labels: The classes, their values and how they are encoded, or None.
        images: Pattern of the images, as in `dataset.yaml`; None pairs like paired folders.
        masks: Pattern of the masks, or None.
    """

    evidence: str
    labels: LabelTable | None = None
    images: str | None = None
    masks: str | None = None


class KnownLayout(PairedFolders):
    """Paired folders of a public dataset, whose classes are known from its documentation."""

    other_folders_are_known: ClassVar[bool] = True

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        self.recognised_by = self.known(root, list_files(root))
        super().__init__(root, completed(settings, self.recognised_by, root))

    @classmethod
    @abstractmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Return the facts that the names under `root` imply, or None if it is another layout."""

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.images or settings.masks:
            return None
        known = cls.known(root, list_files(root))
        return known.evidence if known else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image, and report what the layout implies."""
        records, findings = super().index()
        if self.recognised_by is None:  # the user named the format; files are paired by name alone
            return records, findings
        said = format_finding("known-dataset", self.name, f"{self.recognised_by.evidence}.")
        return records, (said, *findings)


def completed(settings: DatasetFile, known: Known | None, root: Path) -> DatasetFile:
    """Return the settings completed with the facts of the layout.

    Values that the user ignores are removed from the known classes. Classes that the user names replace the
    known ones: by name if some of the names are known, else with their encoding. What the layout ignores
    stays ignored unless the user gives it to a class.

    Raises:
        ConfigError: Some of the classes that the user names are known, and others are not.
    """
    if known is None:
        return settings
    labels = known.labels
    named = settings if labels is None else with_values_if_named(settings, labels.classes, where=root)
    if labels is not None and named is not settings:
        encoding = {"mask_encoding": labels.to_dict()["mask_encoding"]}
        settings = DatasetFile.model_validate(encoding | named.model_dump(mode="json", exclude_unset=True))
    given = settings.model_dump(mode="json", exclude_unset=True)
    filled: dict[str, Any] = {"images": known.images, "masks": known.masks}
    if labels is not None:
        filled |= _labels(settings, labels)
    wanted = {key: value for key, value in filled.items() if value is not None}
    return DatasetFile.model_validate({**wanted, **given, **_ignored(settings, labels)})


def _labels(settings: DatasetFile, labels: LabelTable) -> dict[str, Any]:
    if settings.classes:  # the user's values apply
        return {}
    table = labels.to_dict()
    dropped = set(settings.ignored_values)
    table["classes"] = [row for row in table["classes"] if not dropped & {*row["values"]}]
    return {key: table[key] for key in ("mask_encoding", "classes")}


def _ignored(settings: DatasetFile, labels: LabelTable | None) -> dict[str, Any]:
    named = settings.label_table()
    # Packed colours mean nothing in masks of numbers, and vice versa.
    if labels is None or (named and named.encoding.kind != labels.encoding.kind):
        return {}
    taken = {value for c in named.classes for value in c.values} if named else set()
    own = settings.ignored_values
    return {"ignored": [*own, *(v for v in labels.ignored_values if v not in taken and v not in own)]}


def images_below(tree: FileTree, folder: str) -> list[PurePosixPath]:
    """Return the images that have a folder of this name above them, capitals or not."""
    wanted = folder.casefold()
    inside = (paths for f, paths in tree.images_in.items() if wanted in str(f).casefold().split("/"))
    return [path for paths in inside for path in paths]
