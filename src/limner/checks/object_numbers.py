"""Whether the values of masks number objects instead of classes.

Cellpose, StarDist, ImageJ and QuPath write the objects of an image as 1, 2, 3, ...; removing an object leaves
a gap. Organs, vertebrae and parts of faces are classes that also form one piece each, but a value has the
same meaning in all images: the same place and size, relative to the others.
"""

from dataclasses import dataclass
from statistics import median

from limner.checks.codes import make
from limner.checks.facts import DatasetFacts
from limner.checks.value_places import Sameness, sameness
from limner.core.finding import Finding

MIN_VALUES = 8
"""Fewer values are more likely to be classes, unless images count them without gaps."""

MIN_COUNTED = 4
"""Minimum number of values that images count without gaps."""

MIN_WHOLE = 0.95
"""Share of the values that form a single piece in their image."""

MIN_IN_ORDER = 0.9
"""Share of the images that count their values without gaps."""

MOST_DIFFERENT = 3
"""Classes recur: all images together have at most this many times the values of one image."""

SAME_PLACE, SAME_SIZE = 0.35, 0.7
"""`Sameness` below which values have places and sizes of their own. Objects that are numbered row by row have
a place of about 0.6, as their column is random, and a size of about 1."""

CERTAIN_SIZE = 0.35
"""Size below which values are classes although they move."""

MIN_FREEDOM = 15
"""`Sameness.freedom` below which it may be chance."""

VOIDS = (255, 65535)
"""The largest values of masks of 8 and 16 bits."""

_ONE_CLASS = [
    {"name": "background", "value": 0, "is_thing": False},
    {"name": "object", "value": 1, "is_thing": True},
]


@dataclass(frozen=True)
class _Numbers:
    """What the values of masks look like.

    Attributes:
        most: Maximum number of values besides 0 in a mask.
        whole: Percentage of them that form one piece.
        same: How far they mean the same in all images; None if that is unknown, or images share few values.
        counted: Nearly all images count them from 1 without gaps, up to different numbers.
    """

    most: int
    whole: int
    same: Sameness | None
    counted: bool

    @property
    def mean_the_same(self) -> bool:
        """Whether values have the same meaning in all images, with little doubt."""
        same = self.same
        if same is None or same.freedom < MIN_FREEDOM:
            return False
        return same.place < SAME_PLACE and same.size < SAME_SIZE

    @property
    def may_mean_the_same(self) -> bool:
        """Whether values rather have the same meaning in all images."""
        same = self.same
        if same is None or self.counted:
            return False
        return same.place < SAME_PLACE or same.size < CERTAIN_SIZE


def object_numbers(facts: DatasetFacts) -> Finding | None:
    """Return the question whether values number objects, a warning if they hardly do, or None."""
    found = _numbers(facts)
    if found is None:
        return None
    files = [image.label_file for image in facts.labelled]
    told = f"masks hold up to {found.most} values besides 0, and {found.whole} % of them form a single piece"
    if found.mean_the_same:
        return make(
            "values-read-as-classes",
            "the masks",
            f"{told}, at the same place and of similar size in all images: they are read as classes",
            expected="a name for each class",
            fix="Name them under `classes` in dataset.yaml. If each value is one object instead, as in the "
            "frames of a video, write `mask_encoding: objects` there.",
            files=files,
        )
    if found.may_mean_the_same:
        return make(
            "values-look-like-instances",
            "the masks",
            f"{told}; a value has a similar place or size in all images, as classes have, and could still be "
            "an object",
            expected="to know whether values are classes or objects",
            fix="Accept that values are classes. If each value but 0 is one object of one class, write "
            "`mask_encoding: objects` into dataset.yaml.",
            files=files,
            proposal={"mask_encoding": "index"},
        )
    return make(
        "values-look-like-instances",
        "the masks",
        f"{told}: they seem to number objects",
        expected="one value for each class",
        fix="Accept that each value but 0 is one object of one class. If the values are classes, write "
        "`mask_encoding: index` into dataset.yaml, or name them under `classes`.",
        files=files,
        proposal={"mask_encoding": "objects", "classes": _ONE_CLASS},
    )


def _numbers(facts: DatasetFacts) -> _Numbers | None:
    """Return what the values look like; None if they are classes without doubt.

    Values may be objects if each is one piece, and either the values of nearly every image have no gap and
    their number differs, or there are many values in most images.
    """
    images = facts.labelled
    values = facts.value_counts.keys() - {0}
    if len(values) < MIN_COUNTED or len(images) < 2:
        return None
    known = [image for image in images if image.values_in_one_piece is not None]
    whole = sum(image.values_in_one_piece or 0 for image in known)
    total = sum(image.num_values - (0 in image.value_counts) for image in known)
    if not total or whole < MIN_WHOLE * total:
        return None
    runs = [sorted(value for value in image.value_counts if value) for image in images]
    in_order = sum(run == list(range(1, len(run) + 1)) for run in runs)
    num_usual, is_few = median(map(len, runs)), len(values) < MIN_VALUES
    found = _Numbers(
        most=max(image.num_values - (0 in image.value_counts) for image in images),
        whole=100 * whole // total,
        same=sameness(images) if is_few or len(values) <= MOST_DIFFERENT * num_usual else None,
        counted=in_order >= MIN_IN_ORDER * len(runs) and len({len(run) for run in runs}) > 1,
    )
    # The largest value of a file's type marks ignored pixels beside class numbers.
    has_void = any(value in values and value - 1 not in values for value in VOIDS)
    if is_few:
        return found if found.counted and _are_random(found.same) else None
    may_be = found.counted or not (has_void or num_usual < MIN_VALUES)
    return found if may_be else None


def _are_random(same: Sameness | None) -> bool:
    """Tell whether neither places nor sizes of values recur."""
    return same is not None and same.freedom >= MIN_FREEDOM and min(same.place, same.size) > SAME_PLACE
