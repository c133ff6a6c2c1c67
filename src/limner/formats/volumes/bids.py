"""BIDS: sub-01/anat/sub-01_T1w.nii.gz with segmentations in derivatives/.

Reference: https://bids-specification.readthedocs.io, "Derivatives: imaging", discrete segmentations.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

from limner.formats.file_tree import FileTree
from limner.formats.volumes.cases import CaseFiles, CaseFolders
from limner.images.file_names import image_stem, is_volume_name

_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+")
_LABELS = ("dseg", "mask")
_DERIVED = frozenset({"derivatives", "labels"})


class Bids(CaseFolders):
    """The suffixes of images (``T1w``, ``FLAIR``) are channels; ``_dseg`` is preferred to ``_mask``."""

    name = "bids"
    title = "BIDS: sub-01/anat/sub-01_T1w.nii.gz with derivatives/NAME/sub-01/anat/sub-01_dseg.nii.gz"
    what = "BIDS"

    @classmethod
    def cases(cls, tree: FileTree) -> Mapping[str, CaseFiles]:
        """Pair the images of each subject and session with its segmentations below ``derivatives``."""
        images: dict[str, dict[str, PurePosixPath]] = defaultdict(dict)
        labels: dict[str, list[PurePosixPath]] = defaultdict(list)
        for path in tree.images:
            stem = image_stem(path.name)
            if not is_volume_name(path.name) or not _SUBJECT.match(stem):
                continue
            suffix = stem.rpartition("_")[2]
            if _DERIVED.isdisjoint(part.casefold() for part in path.parts[:-1]):
                images[_case(stem)].setdefault(suffix, path)
            elif suffix in _LABELS:
                labels[_case(stem)].append(path)
        if not labels:
            return {}
        return {
            case: CaseFiles(dict(sorted(images[case].items())), tuple(_best(labels.get(case, []))))
            for case in images
        }


def _case(stem: str) -> str:
    """Return subject and session, such as ``sub-01_ses-2``."""
    return "_".join(part for part in stem.split("_") if part.startswith(("sub-", "ses-")))


def _best(labels: list[PurePosixPath]) -> list[PurePosixPath]:
    """Return the file of labels: discrete segmentations first, then the shortest path."""
    order = sorted(labels, key=lambda p: (not image_stem(p.name).endswith(_LABELS[0]), len(str(p)), str(p)))
    return order[:1]
