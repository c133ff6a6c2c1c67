"""Layouts with a folder for each case: the files are told apart by their names inside it."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy.typing as npt

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import ValueMap
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import split_of_folder
from limner.formats.format_codes import format_finding
from limner.formats.label_grid import on_image_grid
from limner.formats.pairs.pairing_findings import tree_findings
from limner.formats.source import Source
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.images.masks import read_values


@dataclass(frozen=True)
class CaseFiles:
    """The files of one case, relative to the dataset folder.

    Attributes:
        channels: Name of a channel -> its file, in order.
        labels: The files of labels.
    """

    channels: Mapping[str, PurePosixPath]
    labels: tuple[PurePosixPath, ...]


class CaseFolders(Source):
    """Base of layouts with one folder a case; subclasses say which file is what."""

    what: ClassVar[str]
    """What the layout calls itself in the note about it."""
    files_are_channels: ClassVar[bool] = True
    """Whether the files of a case are its channels, rather than its slices."""

    @classmethod
    @abstractmethod
    def cases(cls, tree: FileTree) -> Mapping[str, CaseFiles]:
        """Return case -> its files; empty if it is another layout."""

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.images or settings.masks:
            return None
        cases = cls.cases(list_files(root))
        return f"{cls.what}: {len(cases)} cases, such as {next(iter(cases))}" if cases else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each case."""
        tree = list_files(self.root)
        cases = self.cases(tree)
        records = tuple(self._record(name, cases[name]) for name in sorted(cases))
        records, split_findings = apply_split_lists(
            records, self.root, self.settings, lists_beside(tree, records)
        )
        gaps = _gaps(cases, channels=self.files_are_channels)
        findings = (*self._layout(cases), *gaps, *tree_findings(tree), *split_findings)
        return records, findings

    def cache_state(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return an empty state, since records and settings are enough."""
        return {}

    def read_values(self, record: Record) -> ValueMap:
        """Read the label map of a case.

        Raises:
            DataError: It cannot be read.
        """
        if not record.labels:
            raise DataError(describe("The case has no labels", where=record.image))
        return on_image_grid(record, self.settings, lambda: read_values(record.labels[0]))

    def _record(self, name: str, files: CaseFiles) -> Record:
        first, *more = (self.root / path for path in files.channels.values())
        folders = PurePosixPath(name).parts[:-1]
        split = next((found for part in folders if (found := split_of_folder(part))), None)
        labels = tuple(self.root / path for path in files.labels)
        return Record(name, first, labels, split, more_images=tuple(more))

    def _layout(self, cases: Mapping[str, CaseFiles]) -> Iterator[Finding]:
        first = next(iter(cases.values()), None)
        if first is not None:
            channels = f" with the channels {', '.join(first.channels)}" if self.files_are_channels else ""
            said = f"{self.what}: {len(cases)} cases{channels}."
            yield format_finding("layout", str(next(iter(first.channels.values())).parent), said)


def _gaps(cases: Mapping[str, CaseFiles], *, channels: bool) -> Iterator[Finding]:
    """Report cases without labels, or without a channel that others have."""
    unlabelled = [name for name, files in cases.items() if not files.labels]
    if unlabelled and len(unlabelled) < len(cases):
        found = f"{len(unlabelled)} cases without labels: left out of training and scoring."
        fix = "Add the labels, or take them out."
        yield format_finding("image-without-mask", unlabelled[0], found, fix=fix, files=unlabelled)
    wanted = dict.fromkeys(c for files in cases.values() for c in files.channels) if channels else {}
    lacking = [name for name, files in cases.items() if len(files.channels) < len(wanted)]
    if lacking:
        missing = ", ".join(c for c in wanted if c not in cases[lacking[0]].channels)
        found = f"{len(lacking)} of {len(cases)} cases lack channels; this one lacks {missing}"
        fix = "Add the files, or take these cases out."
        yield format_finding("channel-missing", lacking[0], found, fix=fix, files=lacking)
