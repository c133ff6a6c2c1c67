"""nnU-Net's raw data: a file for each channel, ``case_0000.nii.gz``, and a dataset.json."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from limner.core.finding import Finding
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import read_folder_name
from limner.formats.format_codes import format_finding
from limner.formats.pairs.known_layout import Known, KnownLayout
from limner.formats.volumes.dataset_json import DatasetJson, has_dataset_json, read_dataset_json
from limner.images.file_names import image_stem, image_suffix

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")

Channels = dict[tuple[PurePosixPath, str], dict[int, PurePosixPath]]
"""(Folder, case) -> channel -> its file."""


class NnunetRaw(KnownLayout):
    """``imagesTr/liver_3_0000.nii.gz`` (and ``_0001``, ...) with ``labelsTr/liver_3.nii.gz``."""

    name = "nnunet-raw"
    title = "nnU-Net raw: imagesTr/case_0000.nii.gz (_0001, ...), labelsTr/case.nii.gz, dataset.json"

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise the layout by its dataset.json and the numbers of channels in the names."""
        if not has_dataset_json(tree) or not _channels(tree):
            return None
        read = read_dataset_json(root)
        return Known(f"nnU-Net raw, by dataset.json: {_said(read)}", read.labels)

    def paths(self, tree: FileTree) -> Sequence[PurePosixPath]:
        """Return the first channel of each case, and the labels."""
        later = {path for files in _channels(tree).values() for n, path in files.items() if n > min(files)}
        return [path for path in tree.images if path not in later]

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each case, named without the number of its channel."""
        records, findings = super().index()
        cases = _channels(list_files(self.root))
        files_of = {self.root / files[min(files)]: files for files in cases.values()}
        whole = tuple(
            replace(
                record,
                name=_case_name(record.name),
                more_images=tuple(self.root / path for n, path in sorted(files.items()) if n > min(files)),
            )
            if (files := files_of.get(record.image))
            else record
            for record in records
        )
        return whole, (*findings, *_incomplete(cases))


def _case_name(name: str) -> str:
    named = _CHANNEL.fullmatch(name)
    return named["case"] if named else name


def _channels(tree: FileTree) -> Channels:
    """Return the files of each case in folders of images, by channel."""
    cases: Channels = defaultdict(dict)
    for folder, paths in tree.images_in.items():
        if read_folder_name(folder.name).role != "image":
            continue
        for path in paths:
            if named := _CHANNEL.fullmatch(image_stem(path.name)):
                cases[folder, named["case"] + image_suffix(path.name)][int(named["channel"])] = path
    return dict(cases)


def _incomplete(cases: Mapping[tuple[PurePosixPath, str], Mapping[int, PurePosixPath]]) -> Iterator[Finding]:
    """Report cases that lack a channel which others have."""
    wanted = {number for files in cases.values() for number in files}
    lacking = [files for files in cases.values() if files.keys() != wanted]
    if lacking:
        names = [str(files[min(files)]) for files in lacking]
        missing = ", ".join(f"_{number:04d}" for number in sorted(wanted - lacking[0].keys()))
        yield format_finding(
            "channel-missing",
            names[0],
            f"{len(lacking)} of {len(cases)} cases lack channels; this one lacks {missing}",
            expected=f"the channels {', '.join(f'_{number:04d}' for number in sorted(wanted))} of each case",
            fix="Add the files, or take these cases out.",
            files=names,
        )


def _said(read: DatasetJson) -> str:
    channels = f"channels {', '.join(read.channels)}, " if read.channels else ""
    parts = "; regions that overlap are read as their parts" if read.has_regions else ""
    return f"{channels}classes {', '.join(read.labels.names)}{parts}"
