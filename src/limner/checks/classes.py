"""Findings about classes: absent from a split, in hardly any image, or of hardly any pixels."""

from collections.abc import Iterator, Sequence

from limner.checks.codes import make
from limner.checks.label_rows import LabelRow
from limner.core.finding import Finding
from limner.core.labels import IGNORE_INDEX

FEW_IMAGES = 3
RARE_SHARE = 0.001


def class_findings(rows: Sequence[LabelRow]) -> list[Finding]:
    """Return what the table of classes brings to light; a class in no mask at all is a finding of labels."""
    classes = [row for row in rows if row.trained_as not in (None, IGNORE_INDEX) and row.images]
    total = sum(row.pixels for row in rows if row.trained_as != IGNORE_INDEX)
    return [finding for row in classes for finding in _of_class(row, total)]


def _of_class(row: LabelRow, total: int) -> Iterator[Finding]:
    where = f"class {row.name!r}"
    splits = [split for split, count in row.splits.items() if not count.images]
    for split in splits:
        held = ", ".join(f"{count.images} in {s}" for s, count in row.splits.items() if count.images)
        yield make(
            "class-absent-from-split",
            where,
            f"no mask of {split!r} holds it; masks that do: {held}",
            expected="every class in every split, or its score there cannot be measured"
            if split != "train"
            else "every class among the training images, or it cannot be learned",
            mend="Move some of its images, or set other `splits` in dataset.yaml.",
        )
    if row.images < FEW_IMAGES:
        yield make(
            "class-in-few-images",
            where,
            f"{row.images} of all masks {'holds' if row.images == 1 else 'hold'} it",
            expected=f"at least {FEW_IMAGES} images, better dozens",
            mend="Label more images that show it, or give its values to another class.",
        )
    if row.pixels < RARE_SHARE * total:
        yield make(
            "class-rare",
            where,
            f"{row.pixels} pixels, {percent(row.pixels / total)} of all",
            mend="Nothing need be done: planning weighs the loss and draws crops for it.",
        )


def percent(share: float) -> str:
    """Return a share of 1 as a percentage with the digits that a reader needs."""
    scaled = 100 * share
    if scaled == 0:
        return "0 %"
    if scaled < 0.01:
        return "< 0.01 %"
    return f"{scaled:.2f} %" if scaled < 1 else f"{scaled:.1f} %"
