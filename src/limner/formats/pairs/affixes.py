"""Usual affixes of file names: ``cat_mask``, ``mask_cat``, ``21_training``, ``x_L``."""

import re
from collections.abc import Collection, Iterable

from limner.formats.folder_words import vocabulary

_IMAGE_AFFIXES = vocabulary(
    """
    images image imgs img im input rgb photo orig original sat leftimg8bit training train testing test
    validation valid val 0000
    """
)
_LABEL_AFFIXES = vocabulary(
    """
    gtfine_labelids gtfine_labeltrainids labelids labeltrainids 1stho manual1 manual masks mask labels label
    lbl segmentation segmentations seg segs gt groundtruth ground_truth truth annotation annotations annot
    anno anns ann target gtfine binary matte m l p
    """
)
_OTHER_LABEL_AFFIXES = vocabulary(
    "2ndho manual2 gtfine_color gtfine_instanceids gtcoarse_color gtcoarse_instanceids instanceids"
)
_SHORT = frozenset({"m", "l", "p", "im", "0000"})
"""Too short (or a number: nnU-Net's first channel) to be taken off without a separator, from the front, or to
tell a mask from an image."""

_SEPARATOR = r"[\s_.\-]+"


def bare_image_name(name: str) -> str:
    """Return an image's name without the usual affixes, in lower case."""
    return _strip(name, _IMAGE_PATTERN)


def bare_label_name(name: str) -> str:
    """Return a label's name without the usual affixes, in lower case."""
    return _strip(name, _LABEL_PATTERN)


def without_count(name: str) -> str:
    """Return ``cat_mask`` for ``cat_mask_1``, since several masks of one image are numbered."""
    return _COUNT.sub("", name)


def has_label_affix(name: str) -> bool:
    """Whether a file's name says that it is a mask beside its image, such as ``cat_mask``."""
    return bool(_MASK_BESIDE_IMAGE.search(without_count(name)))


def has_other_affix(name: str) -> bool:
    """Whether a file's name says second observer, instances, or labels drawn for people to look at."""
    return bool(_OTHER_PATTERN.search(name))


def _affix_pattern(words: Collection[str]) -> re.Pattern[str]:
    """Match an affix at the end after a separator or digit, at the start before one, or as the whole name."""
    glued = _alternatives(word for word in words if word not in _SHORT)
    return re.compile(
        rf"{_SEPARATOR}(?:{_alternatives(words)})$|(?<=\d)(?:{glued})$"
        rf"|^(?:{glued})(?:{_SEPARATOR}|(?=\d))|^(?:{glued})$"
    )


def _alternatives(words: Iterable[str]) -> str:
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return "|".join(map(re.escape, longest_first))


def _strip(name: str, pattern: re.Pattern[str]) -> str:
    bare = name.casefold()
    while (shorter := pattern.sub("", bare, count=1)) != bare:
        bare = shorter
    return re.sub(_SEPARATOR, "_", bare).strip("_")


_IMAGE_PATTERN = _affix_pattern(_IMAGE_AFFIXES)
_LABEL_PATTERN = _affix_pattern(_LABEL_AFFIXES | _OTHER_LABEL_AFFIXES | _IMAGE_AFFIXES)
_OTHER_PATTERN = re.compile(rf"{_SEPARATOR}(?:{_alternatives(_OTHER_LABEL_AFFIXES)})$", re.IGNORECASE)
_COUNT = re.compile(rf"(?<=[^\W\d_])(?:{_SEPARATOR})?\d{{1,2}}$")
_MASK_BESIDE_IMAGE = re.compile(
    rf"{_SEPARATOR}(?:{_alternatives(_LABEL_AFFIXES - _SHORT)}|L)$"
    rf"|^(?:mask|label|seg|gt)(?:{_SEPARATOR}|$)",
    re.IGNORECASE,
)
