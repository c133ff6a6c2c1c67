"""Findings about images that differ from the others: in size, brightness, or labelled area."""

from collections.abc import Callable, Iterator, Sequence
from math import log2, prod

import numpy as np

from limner.checks.codes import make
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.finding import Finding
from limner.core.labels import LabelTable

MIN_IMAGES = 20
"""Minimum number of images to look for outliers."""

MAX_DISTANCE = 6.0
"""Distance from the median in scaled median deviations; hardly any normally distributed value is so far."""

MAX_SHARE = 0.05
"""Maximum share of outliers; if more images stand out, the data is of two kinds."""


def outlier_findings(facts: DatasetFacts, labels: LabelTable | None) -> list[Finding]:
    """Return findings on outliers, the most extreme first."""
    readable = [image for image in facts.images if image.image_error is None and image.intensities]
    return [
        *_outliers("outlier-size", readable, _size, 0.25, _said_size),
        *_outliers("outlier-intensity", readable, _brightness(readable), 0.02, _said_brightness),
        *_label_areas(facts, labels),
    ]


def _label_areas(facts: DatasetFacts, labels: LabelTable | None) -> Iterator[Finding]:
    if labels is None or labels.background_index is None:
        return
    silent = {*labels.ignored_values, *labels.classes[labels.background_index].values}
    if labels.encoding.threshold is not None:
        return

    def share(image: ImageFacts) -> float:
        area = sum(n for value, n in image.value_counts.items() if value not in silent)
        return area / max(1, sum(image.value_counts.values()))

    labelled = [image for image in facts.usable if share(image) > 0]
    yield from _outliers(
        "outlier-label-area",
        labelled,
        lambda image: log2(share(image)),
        0.5,
        lambda i: f"{100 * share(i):.2g} %",
    )


def _size(image: ImageFacts) -> float:
    return log2(prod(image.shape))


def _said_size(image: ImageFacts) -> str:
    return " x ".join(str(side) for side in reversed(image.shape))


def _brightness(images: Sequence[ImageFacts]) -> Callable[[ImageFacts], float]:
    """Return a function that gives the mean as a fraction of the range of all images."""
    top = max((i.maximum for image in images for i in image.intensities), default=1.0)
    low = min((i.minimum for image in images for i in image.intensities), default=0.0)
    return lambda image: (float(np.mean([i.mean for i in image.intensities])) - low) / ((top - low) or 1.0)


def _said_brightness(image: ImageFacts) -> str:
    return f"mean {np.mean([i.mean for i in image.intensities]):.3g}"


_WORDS = {
    "outlier-size": ("size", "Check them: is there a thumbnail, or an image of another camera?"),
    "outlier-intensity": ("mean intensity", "Check them: are they blank, covered, or from another device?"),
    "outlier-label-area": (
        "labelled area",
        "Check them: is the label complete, and does it belong to this image?",
    ),
}


def _outliers(
    code: str,
    images: Sequence[ImageFacts],
    measure: Callable[[ImageFacts], float],
    least_spread: float,
    say: Callable[[ImageFacts], str],
) -> Iterator[Finding]:
    if len(images) < MIN_IMAGES:
        return
    values = np.array([measure(image) for image in images])
    middle = float(np.median(values))
    # If nearly all values are equal, the deviation is 0 and any difference would be far.
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), least_spread)
    far = np.abs(values - middle) / spread
    found = [int(i) for i in np.argsort(-far, kind="stable") if far[i] > MAX_DISTANCE]
    if not found or len(found) > max(1, MAX_SHARE * len(images)):
        return
    what, fix = _WORDS[code]
    usual = images[int(np.argmin(far))]
    worst = images[found[0]]
    stand = "stands out by its" if len(found) == 1 else "stand out by their"
    yield make(
        code,
        worst.image_file,
        f"{len(found)} of {len(images)} images {stand} {what}: {say(worst)}, where {say(usual)} is usual",
        fix=fix,
        files=[images[i].image_file for i in found],
    )
