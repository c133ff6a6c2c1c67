"""Findings about images unlike the others: in size, in brightness, or in how much of them is labelled."""

from collections.abc import Callable, Iterator, Sequence
from math import log2, prod

import numpy as np

from limner.checks.codes import make
from limner.checks.facts import DatasetFacts, ImageFacts
from limner.core.finding import Finding
from limner.core.labels import LabelTable

FEWEST = 20
"""Of fewer images none stands out."""

FAR = 6.0
"""Spreads from the middle, by median and median deviation; of a normal distribution hardly any is so far."""

MOST = 0.05
"""Where a larger part stands out, the data is of two kinds, and nobody is an outlier."""


def outlier_findings(facts: DatasetFacts, labels: LabelTable | None) -> list[Finding]:
    """Return which images stand out, the strangest first."""
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
    """Return the mean as a part of the range that the images use."""
    top = max((i.maximum for image in images for i in image.intensities), default=1.0)
    low = min((i.minimum for image in images for i in image.intensities), default=0.0)
    return lambda image: (float(np.mean([i.mean for i in image.intensities])) - low) / ((top - low) or 1.0)


def _said_brightness(image: ImageFacts) -> str:
    return f"mean {np.mean([i.mean for i in image.intensities]):.3g}"


_WORDS = {
    "outlier-size": ("pixels", "Look at them: a thumbnail or another camera among the images?"),
    "outlier-intensity": ("mean intensity", "Look at them: blank, covered, or of another machine?"),
    "outlier-label-area": ("labelled area", "Look at them: is the label whole, and that of this image?"),
}


def _outliers(
    code: str,
    images: Sequence[ImageFacts],
    measure: Callable[[ImageFacts], float],
    least_spread: float,
    say: Callable[[ImageFacts], str],
) -> Iterator[Finding]:
    if len(images) < FEWEST:
        return
    values = np.array([measure(image) for image in images])
    middle = float(np.median(values))
    # Where nearly all are equal, the deviation is 0 and a hair would be far.
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), least_spread)
    far = np.abs(values - middle) / spread
    found = [int(i) for i in np.argsort(-far, kind="stable") if far[i] > FAR]
    if not found or len(found) > max(1, MOST * len(images)):
        return
    what, fix = _WORDS[code]
    usual = images[int(np.argmin(far))]
    worst = images[found[0]]
    yield make(
        code,
        worst.image_file,
        f"{len(found)} of {len(images)} images stand out by their {what}: {say(worst)}, where {say(usual)} "
        "is usual",
        fix=fix,
        files=[images[i].image_file for i in found],
    )
