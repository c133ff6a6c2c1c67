"""Findings about file names: copies made by augmentation, and frames or slices of one thing in two splits."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from limner.checks.codes import make
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.finding import Finding
from limner.formats.name_groups import OWNER, expression_for, owner_in, sequence_in, stem_of

_WORDS = (
    r"aug(?:mented|mentation)?|h?flip(?:ped)?|vflip(?:ped)?|flip(?:lr|ud)|mirror(?:ed)?|rot(?:ate|ated|ation)?"
    r"|bright(?:ness|er)?|dark(?:er)?|contrast|blur(?:red)?|noise|noisy|crop(?:ped)?|elastic|gamma|hue|jitter"
    r"|shear|zoom(?:ed)?|copy|kopie|copie|transformed"
)
# Roboflow names each copy NAME.rf.HEX; others append what was done, perhaps with a number.
_AUGMENTED = re.compile(
    rf"(?:\.rf\.[0-9a-f]{{6,}}|(?:[_\-. ]+(?:{_WORDS})[_\-]?\d*(?:deg)?)+(?:[_\-]\d+)?"
    r"|[_ ]?\(\d+\)| - copy)$",
    re.IGNORECASE,
)
# File managers name copies like this, and also files that were renamed together.
_COUNTED = re.compile(r"\(\d+\)$")
_LEADING = re.compile(rf"^(?:aug|augmented|{_WORDS})[_\-. ]+\d*[_\-]?", re.IGNORECASE)

# For `limner split --group`, the simplest first. The last of each leaves images without a group alone.
_OWNER_EXPRESSIONS = (
    r"([A-Za-z]+[_-]?\d+)",
    r"([A-Za-z]+[_-]?\d+)[^/]*$",
    rf"(?i){OWNER.pattern}",
    rf"(?i)^(?=.*?{OWNER.pattern})|^(.*)$",
)
_SEQUENCE_EXPRESSIONS = (
    r"([^/]*?)[_-][^_/-]*$",
    r"([^/]*)[_\-. ][^/]*\.[^/.]*$",
    r"^(?=(?:.*/)?([^/]*)[_\-. ][^/]*\d\.[^/.]*$)|^(.*)$",
)
MIN_NAMED = 0.6
"""Minimum share of the names with a group for the pattern to apply."""

MIN_PER_GROUP = 2.0


def name_findings(facts: DatasetFacts) -> list[Finding]:
    """Return the findings from the names of the images."""
    images = [image for image in facts.images if image.is_labelled]
    return [*_augmented(images), *_groups(images)]


def original_of(stem: str) -> str | None:
    """Return the name of which this one seems to be an augmented copy, or None."""
    bare = _LEADING.sub("", _AUGMENTED.sub("", stem))
    return bare if bare and bare != stem else None


def _augmented(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    by_original: dict[str, list[ImageFacts]] = defaultdict(list)
    for image in images:
        by_original[original_of(_stem(image)) or _stem(image)].append(image)
    families = [
        family
        for family in by_original.values()
        if len(family) > 1 and not all(_COUNTED.search(_stem(image)) for image in family)
    ]
    copies = sum(original_of(_stem(image)) is not None for family in families for image in family)
    marked = [family for family in families if any(original_of(_stem(image)) for image in family)]
    across = [family for family in marked if len({image.split for image in family}) > 1]
    for code, found, said in (
        ("augmented-copies-in-two-splits", across, "are in different splits"),
        ("augmented-copies", [family for family in marked if family not in across], "are in one split"),
    ):
        if not found:
            continue
        files = [image.image_file for family in found for image in family]
        yield make(
            code,
            " and ".join(image.image_file for image in found[0][:2]),
            f"{len(files)} images of {len(found)} originals, by their names ({copies} names say flip, rot, "
            f"aug, copy or the like); copies of one original {said}",
            expected="originals only: limner augments while it trains, differently each time",
            fix="Remove the copies, or split by original: `limner split DATA --group` with an expression "
            "for the original's name.",
            files=files,
        )


def _groups(images: Sequence[ImageFacts]) -> Iterator[Finding]:
    if len({image.split for image in images}) < 2:
        return
    for key_of, candidates in ((owner_in, _OWNER_EXPRESSIONS), (sequence_in, _SEQUENCE_EXPRESSIONS)):
        groups = _grouped(images, key_of)
        named = sum(map(len, groups.values()))
        if named < MIN_NAMED * len(images) or len(groups) < 2 or named < MIN_PER_GROUP * len(groups):
            continue
        divided = {key: rows for key, rows in groups.items() if len({image.split for image in rows}) > 1}
        if divided:
            key, rows = max(divided.items(), key=lambda item: len(item[1]))
            splits = sorted({str(image.split) for image in rows})
            members = [[image.image_file for image in group] for group in groups.values()]
            named_files = {file for group in members for file in group}
            others = [image.image_file for image in images if image.image_file not in named_files]
            expression = expression_for(members, others, candidates)
            command = f"--group '{expression}'`" if expression else "--group` with an expression for them"
            yield make(
                "group-in-two-splits",
                key,
                f"{len(divided)} of {len(groups)} groups, by the names of their files, "
                f"{'has' if len(divided) == 1 else 'have'} images in several splits; {key} in "
                f"{' and '.join(splits)}",
                expected="all images of one patient, video or slide in one split, or scores look better than "
                "they are",
                fix=f"If the names mean that, run `limner split DATA {command}.",
                files=[image.image_file for group in divided.values() for image in group],
            )
        return


def _grouped(
    images: Sequence[ImageFacts], key_of: Callable[[str], str | None]
) -> dict[str, list[ImageFacts]]:
    groups: dict[str, list[ImageFacts]] = defaultdict(list)
    for image in images:
        if key := key_of(image.image_file):
            groups[key].append(image)
    return groups


def _stem(image: ImageFacts) -> str:
    return stem_of(image.image_file)
