"""Images that are the slices of volumes: ``case01_000.png`` to ``case01_119.png``, with a mask each.

Slices of one volume are alike, so they stay in one split, and a volume is scored as one case. `cases` in
`dataset.yaml` says which images belong together; without it, names tell.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.sample import Record
from limner.formats.name_groups import group_in
from limner.images.file_names import is_volume_name

FEWEST_SLICES = 5
"""Minimum median number of images of a case for names alone to tell that they are slices."""

DENSE = 0.5
"""Minimum part of the numbers from the first to the last of a case that occur; slices without a structure are
sometimes left out, while frames of videos and shuffled images have large gaps."""

_NUMBERED = re.compile(
    r"^(?P<case>.*\d.*?)[_\-. /]+(?:slice|slc|image|img|frame|z)?[_\-]?(?P<number>\d{1,5})$", re.IGNORECASE
)
"""A case with a number of its own, then that of the slice. Without the former, as in ``cat_001``, images of
one kind may be numbered."""


def cases_of(records: Sequence[Record], settings: DatasetFile, root: Path) -> Mapping[str, str]:
    """Return the case of each labelled image that is a slice; empty if the images are none.

    Args:
        records: The records of a dataset.
        settings: Its `dataset.yaml`.
        root: Its folder.

    Raises:
        DataError: The expression of `dataset.yaml` does not match an image.
    """
    labelled = [record for record in records if record.labels]
    if any(record.label is not None or record.tags is not None for record in labelled):
        return {}  # folders with numbers are classes
    if settings.cases is None:
        return _numbered(labelled)
    if settings.cases is False:
        return {}
    expression = re.compile(settings.cases)
    files = {record.name: record.image.relative_to(root).as_posix() for record in labelled}
    return {name: case_in(file, expression) for name, file in files.items()}


def case_in(file: str, expression: re.Pattern[str]) -> str:
    """Return the group of an image.

    Raises:
        DataError: It has none.
    """
    found = group_in(file, expression)
    if found is None:
        raise DataError(
            describe(
                "An image has no group",
                where=file,
                found=f"no match for {expression.pattern!r}",
                expected="an expression that matches the group in the path of each image",
                fix=r"Try it on this path; `^(\w+?)_`, for instance, matches the text before the first _.",
            )
        )
    return found


def _numbered(labelled: Sequence[Record]) -> Mapping[str, str]:
    """Return the cases that names tell; every name must have a case and a number."""
    numbers: dict[str, set[int]] = defaultdict(set)
    cases: dict[str, str] = {}
    for record in labelled:
        found = _NUMBERED.match(record.name)
        if found is None or is_volume_name(record.image.name):
            return {}
        cases[record.name] = found["case"]
        numbers[found["case"]].add(int(found["number"]))
    return cases if is_counted(numbers) else {}


def is_counted(numbers: Mapping[str, set[int]]) -> bool:
    """Tell whether numbers are those of slices: they follow each other closely, and begin anew in each case.

    Args:
        numbers: Case -> the numbers of its images.
    """
    if len(numbers) < 2 or median(map(len, numbers.values())) < FEWEST_SLICES:
        return False
    is_dense = all(len(each) >= DENSE * (max(each) - min(each) + 1) for each in numbers.values())
    firsts = sorted(numbers.values(), key=min)
    begins_anew = any(min(later) <= max(earlier) for earlier, later in zip(firsts, firsts[1:], strict=False))
    return is_dense and begins_anew
