"""The question whether the values of masks number objects instead of classes."""

from statistics import median

from limner.checks.codes import make
from limner.checks.facts import DatasetFacts
from limner.core.finding import Finding

MIN_VALUES = 8
"""Fewer values are more likely to be classes."""

MIN_WHOLE = 0.95
"""Share of the values that form a single piece in their image."""


VOIDS = (255, 65535)
"""The largest values of masks of 8 and 16 bits."""


def object_numbers(facts: DatasetFacts) -> Finding | None:
    """Return the question, or None.

    Cellpose, StarDist, ImageJ and QuPath write the objects of an image as 1, 2, 3, ...; an object that was
    removed leaves a gap. So each value is one piece, and either the values of nearly every image have no gap
    and their number differs, or there are many values in most images.
    """
    images = facts.labelled
    if len(facts.value_counts) <= MIN_VALUES or len(images) < 2:
        return None
    runs = [sorted(value for value in image.value_counts if value) for image in images]
    most = max(image.num_values - (0 in image.value_counts) for image in images)
    known = [image for image in images if image.values_in_one_piece is not None]
    whole = sum(image.values_in_one_piece or 0 for image in known)
    numbers = sum(image.num_values - (0 in image.value_counts) for image in known)
    if not numbers or whole < MIN_WHOLE * numbers:
        return None
    in_order = sum(run == list(range(1, len(run) + 1)) for run in runs)
    counted = in_order >= 0.9 * len(runs) and len({len(run) for run in runs}) > 1
    # The largest value of a file's type marks ignored pixels beside class numbers.
    has_void = any(value in facts.value_counts and value - 1 not in facts.value_counts for value in VOIDS)
    if not counted and (has_void or median(map(len, runs)) < MIN_VALUES):
        return None
    return make(
        "values-look-like-instances",
        "the masks",
        f"masks hold up to {most} values besides 0, and {100 * whole // numbers} % of them form a single "
        "piece: they seem to number objects",
        expected="one value for each class",
        fix="Accept that each value but 0 is one object of one class. If the values are classes, write "
        "`mask_encoding: index` into dataset.yaml, or name them under `classes`.",
        files=[image.label_file for image in images],
        proposal={
            "mask_encoding": "objects",
            "classes": [
                {"name": "background", "value": 0, "is_thing": False},
                {"name": "object", "value": 1, "is_thing": True},
            ],
        },
    )
