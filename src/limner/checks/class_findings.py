"""Findings about classes: absent from a split, in few images, or with few pixels."""

from collections.abc import Iterable, Iterator, Sequence

from limner.checks.codes import make
from limner.checks.label_rows import LabelRow
from limner.checks.spelling_findings import spelled
from limner.core.finding import Finding
from limner.core.wording import count_words, first_few
from limner.formats.terms import MASKS, Terms

FEW_IMAGES = 3
RARE_SHARE = 0.001
MAX_SHOWN = 12

MAX_RATIO = 4.0
"""Factor between the shares in two splits that is reported."""

MIN_SHARE = 0.01
"""Minimum share of a split's pixels; smaller shares differ by chance."""

MIN_IMAGES = 5

_SPREAD = "limner drew the splits: spread the classes evenly with `limner split DATA --stratify`."


def class_findings(
    rows: Sequence[LabelRow],
    terms: Terms = MASKS,
    *,
    drawn: bool = False,
    of_images: bool = False,
    element: str = "pixel",
) -> list[Finding]:
    """Return the findings from the table of classes; classes in no mask are reported by `judge_labels`.

    Args:
        rows: The table.
        terms: The words of the format.
        drawn: Whether limner drew the splits.
        of_images: Whether labels are classes of whole images, which have no pixels.
        element: What images consist of, in messages.
    """
    classes = [row for row in rows if row.is_class and row.images]
    rare = () if of_images else _rare(classes, rows, element)
    return [
        *_absent(classes, terms, drawn),
        *_few(classes, terms.holder),
        *_differing(classes, drawn),
        *rare,
    ]


def _absent(classes: Sequence[LabelRow], terms: Terms, drawn: bool) -> Iterator[Finding]:
    for split in classes[0].splits if classes else ():
        absent = [row for row in classes if not row.splits[split].images]
        if not absent:
            continue
        why = "or it cannot be learned" if split == "train" else "or its score there cannot be measured"
        yield make(
            "class-absent-from-split",
            f"split {split!r}",
            f"no {terms.holder} {terms.hold}s {listed(spelled(row.name) for row in absent)}",
            expected=f"each class in each split, {why}",
            fix=_SPREAD
            if drawn
            else "Move images that show them to this split, or set other `splits` in dataset.yaml.",
        )


def _few(classes: Sequence[LabelRow], holder: str) -> Iterator[Finding]:
    few = [row for row in classes if row.images < FEW_IMAGES]
    if few:
        counts = (f"{spelled(row.name)} (in {count_words(row.images, holder)})" for row in few)
        yield make(
            "class-in-few-images",
            "the classes",
            listed(counts),
            expected=f"each class in at least {FEW_IMAGES} images, better in dozens",
            fix="Label more images that show them, or unite them with other classes.",
        )


def _differing(classes: Sequence[LabelRow], drawn: bool) -> Iterator[Finding]:
    """Report classes whose share differs between two splits that both have enough of it."""
    different = []
    for row in classes:
        counts = {s: c for s, c in row.splits.items() if c.images >= MIN_IMAGES}
        if len(counts) < 2:
            continue
        low, high = (pick(counts, key=lambda s: counts[s].share) for pick in (min, max))
        if counts[high].share >= MIN_SHARE and counts[high].share > MAX_RATIO * counts[low].share:
            shares = f"{percentage(counts[high].share)} of {high}, {percentage(counts[low].share)} of {low}"
            different.append(f"{spelled(row.name)} ({shares})")
    if different:
        yield make(
            "class-differs-between-splits",
            "the classes",
            listed(different),
            expected="similar splits: otherwise scores on one say little about the other",
            fix=_SPREAD
            if drawn
            else "If you may choose the splits, spread the classes evenly with "
            "`limner split DATA --stratify --overwrite`.",
        )


def _rare(classes: Sequence[LabelRow], rows: Sequence[LabelRow], element: str) -> Iterator[Finding]:
    total = sum(row.pixels for row in rows if not row.is_ignored)
    rare = [row for row in classes if row.pixels < RARE_SHARE * total]
    if rare:
        yield make(
            "class-rare",
            "the classes",
            listed(
                f"{spelled(row.name)} ({percentage(row.pixels / total)} of the {element}s)" for row in rare
            ),
            fix="No action needed: planning weights the loss and samples crops for it.",
        )


def listed(items: Iterable[str]) -> str:
    """Return names separated by commas; of very many, the first and the number of the others."""
    return first_few(items, MAX_SHOWN)


def percentage(share: float) -> str:
    """Return a share of 1 as a percentage with sensible digits."""
    scaled = 100 * share
    if scaled == 0:
        return "0 %"
    if scaled < 0.01:
        return "< 0.01 %"
    return f"{scaled:.2f} %" if scaled < 1 else f"{scaled:.1f} %"
