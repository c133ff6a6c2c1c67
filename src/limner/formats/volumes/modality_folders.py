"""One folder a case with several modalities and the labels, as in BraTS."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath

from limner.formats.file_tree import FileTree
from limner.formats.volumes.cases import CaseFiles, CaseFolders
from limner.images.file_names import image_stem, is_volume_name

_LABELS = re.compile(
    r"(.*[-_. ])?(seg|segmentation|label|labels|mask|gt|groundtruth|ground_truth)", re.IGNORECASE
)

MIN_CASES = 0.5
"""Minimum share of the folders of volumes that have the usual files, for the layout to be this one."""


class ModalityFolders(CaseFolders):
    """``BraTS_001/BraTS_001_flair.nii.gz``, ``_t1``, ``_t1ce``, ``_t2`` and ``_seg``."""

    name = "modality-folders"
    title = "one folder per case: a volume for each modality and the labels: case/case_t1.nii.gz, case_seg"
    what = "One folder per case, with its modalities and labels"

    @classmethod
    def cases(cls, tree: FileTree) -> Mapping[str, CaseFiles]:
        """Find folders with one file of labels and files of images, whose names end alike in most of them."""
        found: dict[str, CaseFiles] = {}
        for folder, paths in tree.images_in.items():
            volumes = [path for path in paths if is_volume_name(path.name)]
            ends = {_end(path, folder): path for path in volumes}
            labels = [path for path in volumes if _LABELS.fullmatch(image_stem(path.name))]
            channels = {end: path for end, path in sorted(ends.items()) if path not in labels}
            if folder.name and len(ends) == len(volumes) and channels and len(labels) <= 1:
                found[folder.as_posix()] = CaseFiles(channels, tuple(labels))
        usual = Counter(end for files in found.values() for end in files.channels)
        fitting = {
            name: files
            for name, files in found.items()
            if all(usual[end] > 0.5 * len(found) for end in files.channels)
        }
        labelled = sum(bool(files.labels) for files in fitting.values())
        folders = sum(any(is_volume_name(p.name) for p in paths) for paths in tree.images_in.values())
        return fitting if labelled and len(fitting) >= MIN_CASES * folders and _is_uniform(fitting) else {}


def _end(path: PurePosixPath, folder: PurePosixPath) -> str:
    """Return what a file's name adds to that of its folder: ``t1`` for ``case_1/case_1_t1.nii.gz``."""
    stem = image_stem(path.name)
    shared = os.path.commonprefix([stem.casefold(), folder.name.casefold()])
    # A part of the name that differs from the folder's is kept whole.
    end = stem[len(shared) :] if len(shared) == len(folder.name) else stem
    return end.strip("-_. ") or stem


def _is_uniform(cases: Mapping[str, CaseFiles]) -> bool:
    """Tell whether several cases share the ends of names, or the files of a single one bear its name."""
    counts = Counter(end for files in cases.values() for end in files.channels)
    if len(cases) > 1:
        return max(counts.values()) > 1
    paths = [path for files in cases.values() for path in files.channels.values()]
    return all(path.name.startswith(path.parent.name) for path in paths)
