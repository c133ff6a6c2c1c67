"""Groups of images by a part of their names: as ``limner split --group`` makes them, and as names suggest."""

import re
from collections.abc import Collection, Sequence

OWNER = re.compile(
    r"(?:^|[_\-./ ])((?:patient|pat|subject|subj|sub|case|video|vid|clip|seq|sequence|scan|volume|vol|slide"
    r"|series|study|scene|donor|animal|mouse|person|session)[_\-]?(?:id)?[_\-]?[a-z]{0,2}\d+)(?![0-9])",
    re.IGNORECASE,
)
"""The patient, video, volume or the like of which an image is a part."""

# The part before the last number: `0001TP` of `0001TP_006690`. Digits alone may be a year.
_SEQUENCE = re.compile(
    r"^((?=.*[a-z])(?=.*\d).*?)[_\-. ]+(?:frame|slice|img|image|z|t)?[_\-]?\d+$", re.IGNORECASE
)
_LAST_NUMBER = re.compile(r"(?P<before>.*?)\d+(?P<after>[^\d/]*)")


def group_in(file: str, expression: re.Pattern[str]) -> str | None:
    """Return the group of an image: the match of the expression's groups, else the whole match; None without.

    Args:
        file: The image, relative to the dataset folder.
        expression: Searched in it.
    """
    found = expression.search(file)
    if found is None:
        return None
    return "/".join(part or "" for part in found.groups()) if found.groups() else found.group()


def expression_for(
    groups: Collection[Sequence[str]], others: Collection[str], candidates: Sequence[str]
) -> str | None:
    """Return the first expression that makes exactly these groups, or None.

    Args:
        groups: The images of each group.
        others: The images in no group; each may be a group of its own.
        candidates: Expressions to try, the simplest first.
    """
    return next((one for one in candidates if _makes(re.compile(one), groups, others)), None)


def _makes(expression: re.Pattern[str], groups: Collection[Sequence[str]], others: Collection[str]) -> bool:
    keys = [{group_in(file, expression) for file in group} for group in groups]
    united = {key for found in keys for key in found}
    alone = {group_in(file, expression) for file in others}
    return (
        all(len(found) == 1 for found in keys)
        and len(united) == len(groups) > 1
        and None not in united | alone
        and not united & alone
    )


def stem_of(file: str) -> str:
    """Return the name of a file without folders and suffix."""
    return file.rpartition("/")[2].rpartition(".")[0]


def owner_in(file: str) -> str | None:
    """Return the patient, video, volume or the like that the path of an image names, or None."""
    found = OWNER.search(file.rpartition(".")[0])
    return found.group(1) if found else None


def sequence_in(file: str) -> str | None:
    """Return the sequence that the name of an image tells before its last number, or None."""
    found = _SEQUENCE.match(stem_of(file))
    return found.group(1) if found else None


def series_in(file: str) -> str | None:
    """Return what all slices of a volume or frames of a video have in common, or None for other images.

    It is the path without its last number, if what is left names a volume or video: in the name of the file
    (``case07_031.png``), or in that of a folder (``case07/031.png``).
    """
    found = _LAST_NUMBER.fullmatch(file.rpartition(".")[0])
    if found is None:
        return None
    before, after = found["before"], found["after"]
    name = before.rpartition("/")[2]
    is_sequence = re.search(r"\d", name) and re.search(r"[a-z]", name, re.IGNORECASE)  # digits may be a year
    return f"{before}#{after}" if is_sequence or owner_in(f"{before}.") else None
