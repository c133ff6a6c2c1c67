"""WebDataset's shards: tar archives in which the image and the label map of a sample have the same key."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy.typing as npt

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.core.finding import Finding
from limner.core.sample import Record
from limner.formats.archives.tar_samples import TarSample, tar_samples
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import split_of_folder
from limner.formats.format_codes import format_finding
from limner.formats.pairs.paired_folders import PairedFolders
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.storage.containers import TAR
from limner.storage.tar_members import TarMembers, tar_members

LabelsOf = Callable[[PurePosixPath, TarSample], dict[str, Any]]
"""Archive and sample -> the fields of the record about its labels."""

MembersOf = Callable[[TarSample], list[str]]
"""Sample -> its members of one kind."""

HasLabel = Callable[[TarSample], bool]
"""Sample -> whether it has a label of a format."""


class WebDataset(PairedFolders):
    """Images and label maps in tar archives, which are read at their positions, in any order."""

    name = "webdataset"
    title = "tar archives with an image and a label map of the same key (0001.jpg, 0001.mask.png)"
    other_folders_are_known: ClassVar[bool] = True

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; reads the names in one archive."""
        return evidence_of(root, settings, cls.name, lambda sample: bool(sample.mask))

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image."""
        tree, opened = list_files(self.root), open_archives(self.root)
        records = opened.records(lambda path, sample: _labels(self.root / path, sample))
        lists = lists_beside(tree, records)
        records, split_findings = apply_split_lists(records, self.root, self.settings, lists)
        self._set_tasks()
        without = [record.name for record in records if not record.labels]
        findings = [opened.layout("with a label map", len(records) - len(without)), *opened.damage()]
        if without:
            found = f"{len(without)} images have no label map of their key"
            fix = "Left out; add KEY.mask.png to the archive, or leave the images out of it."
            findings.append(format_finding("image-without-mask", without[0], found, fix=fix, files=without))
        unused = opened.without_image(lambda sample: sample.masks)
        if unused:
            found = f"{len(unused)} label maps have no image of their key"
            findings.append(format_finding("mask-without-image", unused[0], found, files=unused))
        return records, (*findings, *split_findings)

    def cache_state(self) -> dict[str, npt.NDArray[Any]] | None:
        """Return None: the positions in the archives are kept, and listing them again is fast."""
        return None


@dataclass(frozen=True)
class OpenedArchives:
    """The archives of a dataset folder, and their samples.

    Attributes:
        root: The folder.
        members: Archive, relative to the folder -> its members; those that cannot be read are left out.
        samples: Archive -> its samples.
        unreadable: Archive that cannot be read -> why.
    """

    root: Path
    members: Mapping[PurePosixPath, TarMembers]
    samples: Mapping[PurePosixPath, list[TarSample]]
    unreadable: Mapping[PurePosixPath, str]

    def images(self) -> Iterator[tuple[PurePosixPath, TarSample, str]]:
        """Yield archive, sample and a unique name of each image."""
        found = [
            (path, sample) for path, samples in self.samples.items() for sample in samples if sample.image
        ]
        times = Counter(sample.key for _, sample in found)
        for path, sample in found:
            is_unique = times[sample.key] == 1
            yield path, sample, sample.key if is_unique else f"{path.with_suffix('')}/{sample.key}"

    def records(self, labels_of: LabelsOf) -> tuple[Record, ...]:
        """Return a record for each image, sorted by name.

        Args:
            labels_of: Archive and sample -> the fields of the record about labels.
        """
        records = (
            Record(
                name, self.root / path / str(sample.image), split=_split_of(path), **labels_of(path, sample)
            )
            for path, sample, name in self.images()
        )
        return tuple(sorted(records, key=lambda record: record.name))

    def without_image(self, labels_of: MembersOf) -> list[str]:
        """Return the label files whose key has no image."""
        return [
            f"{path}/{name}"
            for path, samples in self.samples.items()
            for sample in samples
            if not sample.image
            for name in labels_of(sample)
        ]

    def layout(self, what: str, number: int) -> Finding:
        """Return a note on what was found."""
        count = sum(bool(sample.image) for samples in self.samples.values() for sample in samples)
        archives = f"{len(self.samples)} tar archive{'' if len(self.samples) == 1 else 's'}"
        first = str(next(iter(self.samples), "."))
        return format_finding("layout", first, f"{count} images in {archives}, {number} {what}.")

    def damage(self) -> Iterator[Finding]:
        """Yield an error for each archive that is damaged."""
        found = dict(self.unreadable) | {p: one.damage for p, one in self.members.items() if one.damage}
        for path, problem in sorted(found.items()):
            yield format_finding(
                "archive-damaged",
                str(path),
                problem,
                expected="an archive that can be read to its end",
                fix="Copy or write it again; members after the damage are not read.",
                files=[str(path)],
            )


def open_archives(root: Path) -> OpenedArchives:
    """List the members of all tar archives in a folder."""
    members: dict[PurePosixPath, TarMembers] = {}
    unreadable: dict[PurePosixPath, str] = {}
    for path in archives_in(list_files(root)):
        try:
            members[path] = tar_members(root / path)
        except DataError as error:
            unreadable[path] = getattr(error.args[0], "found", "") or str(error)
    samples = {path: tar_samples(one) for path, one in members.items()}
    return OpenedArchives(root, members, samples, unreadable)


def archives_in(tree: FileTree) -> list[PurePosixPath]:
    """Return the tar archives in a folder, sorted."""
    return [path for path in tree.others if path.suffix.lower() == TAR]


def evidence_of(root: Path, settings: DatasetFile, name: str, has_label: HasLabel) -> str | None:
    """Return the evidence that the archives in a folder have samples with labels, or None.

    Args:
        root: The folder.
        settings: Its `dataset.yaml`.
        name: Name of the format.
        has_label: Tells whether a sample has a label of the format.
    """
    tree = list_files(root)
    archives = archives_in(tree)
    # Archives beside images are copies of them rather than shards.
    if not archives or ((tree.images or settings.images) and settings.format != name):
        return None
    for path in archives:
        try:
            samples = tar_samples(tar_members(root / path))
        except DataError:
            continue
        number = sum(bool(sample.image) and has_label(sample) for sample in samples)
        if number:
            return f"{path} has {number} images with labels of the same key"
    return None


def _labels(archive: Path, sample: TarSample) -> dict[str, Any]:
    return {"labels": () if sample.mask is None else (archive / sample.mask,)}


def _split_of(path: PurePosixPath) -> str | None:
    """Return the split in the name of an archive, such as ``train-000000.tar``, or of its folders."""
    words = [re.split(r"[\W_\d]+", path.stem)[0], *reversed(path.parts[:-1])]
    return next((split for word in words if word and (split := split_of_folder(word))), None)
