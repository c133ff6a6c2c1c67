"""Findings about images that are slices of volumes, or may be."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from limner.checks.codes import make
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.errors import DataError
from limner.core.finding import Finding
from limner.formats.name_groups import expression_for
from limner.formats.numbered_slices import FEWEST_SLICES, is_counted
from limner.formats.source import Source

ALIKE = 0.9
"""Minimum median correlation of the thumbnails of neighbouring slices."""

NEARER = 0.05
"""Minimum difference between that and the correlation of images half a volume apart."""

_NUMBERED = re.compile(r"^(.*?)[_\-. /]*(\d+)$")
_EXPRESSIONS = (
    r"([^/]*)[_\-. ]\d+\.[^/.]*$",
    r"([^/]+)/[^/]*$",
    r"([^/]*?)[_\-. ]*\d+\.[^/.]*$",
)


def slice_findings(source: Source, facts: DatasetFacts) -> list[Finding]:
    """Return the finding about slices, if there is one and `dataset.yaml` does not answer it.

    Args:
        source: The dataset.
        facts: Its facts.
    """
    images = [image for image in facts.images if image.is_labelled]
    try:
        cases = source.case_of
    except DataError:
        return []  # the splits cannot be used, which is another finding
    if source.settings.cases is not None or facts.are_classes or facts.volumes:
        return []
    return [_known(images, cases)] if cases else _unclear(images)


def _known(images: Sequence[ImageFacts], case_of: Mapping[str, str]) -> Finding:
    members = _grouped(images, [case_of.get(image.name) for image in images])
    name, some = max(members.items(), key=lambda item: len(item[1]))
    return make(
        "slices-of-cases",
        name,
        f"{len(images)} images are slices of {len(members)} volumes, by their names; {name} has {len(some)}",
        expected="all slices of a volume in one split, as limner draws them, and scores for each volume",
        fix="If they are something else, write `cases: false` into dataset.yaml; or, for other volumes, a "
        r"regular expression such as `cases: '(patient\d+)_'`.",
    )


def _unclear(images: Sequence[ImageFacts]) -> list[Finding]:
    """Return a question if names may be those of slices, and neighbours look alike."""
    found = [_NUMBERED.match(image.name) for image in images]
    groups = _grouped(images, [None if match is None else match[1] for match in found])
    numbers = {key: {_number(image) for image in some} for key, some in groups.items()}
    if not all(found) or not is_counted(numbers) or not _are_continuous(list(groups.values())):
        return []
    members = [[image.image_file for image in some] for some in groups.values()]
    expression = expression_for(members, (), _EXPRESSIONS)
    name, some = max(groups.items(), key=lambda item: len(item[1]))
    answer = f"`cases: '{expression}'`" if expression else "`cases:` and an expression for their names"
    return [
        make(
            "images-may-be-slices",
            name,
            f"{len(images)} images with {len(groups)} names and numbers that follow each other, such as "
            f"{name} with {len(some)}; neighbours look alike",
            expected="all slices of a volume, or frames of a video, in one split, or scores look better than "
            "they are; for now, each image counts on its own",
            fix=f"If they are slices, write {answer} into dataset.yaml, else `cases: false`.",
            proposal={"cases": expression} if expression else None,
        )
    ]


def _grouped(images: Sequence[ImageFacts], keys: Sequence[str | None]) -> dict[str, list[ImageFacts]]:
    groups: dict[str, list[ImageFacts]] = defaultdict(list)
    for image, key in zip(images, keys, strict=True):
        if key is not None:
            groups[key].append(image)
    return groups


def _are_continuous(groups: Sequence[Sequence[ImageFacts]]) -> bool:
    """Tell whether neighbouring images are alike, and more so than those half a group apart."""
    near, far = [], []
    for some in groups:
        ordered = sorted(some, key=_number)
        pictures = [i.thumbnail.ravel().astype(np.float64) for i in ordered if i.thumbnail is not None]
        pictures = [(p - p.mean()) / p.std() for p in pictures if p.std() > 0]
        half = len(pictures) // 2
        if half < FEWEST_SLICES // 2:
            continue
        near += [float(a @ b) / a.size for a, b in zip(pictures, pictures[1:], strict=False)]
        far += [float(a @ b) / a.size for a, b in zip(pictures, pictures[half:], strict=False)]
    return bool(near) and float(np.median(near)) >= max(ALIKE, float(np.median(far)) + NEARER)


def _number(image: ImageFacts) -> int:
    found = _NUMBERED.match(image.name)
    return int(found[2]) if found else 0
