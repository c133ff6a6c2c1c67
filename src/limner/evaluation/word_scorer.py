"""Scoring of found words: the h-mean of ICDAR 2015 and that of DetEval."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelTable
from limner.core.prediction import WordPrediction
from limner.core.sample import Sample
from limner.core.score_names import SCORES
from limner.core.words import Words
from limner.evaluation.scores_file import as_floats, class_rows
from limner.evaluation.uncertainty import Uncertainty
from limner.metrics.confusion import Overall, ratio
from limner.metrics.spread import Interval, Spread
from limner.metrics.word_matches import match_words

TRUE, FOUND, MATCHED, TRUE_CREDIT, FOUND_CREDIT = range(5)
"""Places of the sums: words that count in the truth, and found; pairs; DetEval's matches of either."""

Sums = npt.NDArray[np.float64]
"""(5,) sums over images."""


@dataclass(frozen=True)
class WordImageScores:
    """The scores of one image, whose words alone count."""

    name: str
    sums: Sums

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        return float(word_scores(self.sums)["hmean"])

    @property
    def numbers(self) -> tuple[float, ...]:
        """One number per column."""
        return *map(float, word_scores(self.sums).values()), int(self.sums[TRUE]), int(self.sums[FOUND])


@dataclass(frozen=True)
class WordScores:
    """The scores of a whole dataset.

    Attributes:
        labels: The one class.
        num_images: Number of scored images.
        sums: Over all images.
        intervals: Score name -> its 95 % bootstrap interval over images.
        per_image: Score name -> its distribution over the images.
    """

    labels: LabelTable
    num_images: int
    sums: Sums
    intervals: dict[str, Interval] = field(default_factory=dict)
    per_image: dict[str, Spread] = field(default_factory=dict)

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from as_floats(word_scores(self.sums)).items()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, without the split."""
        counts = {"words": self.sums[[TRUE]].astype(int), "found_words": self.sums[[FOUND]].astype(int)}
        return {
            "task": "text-detection",
            "num_images": self.num_images,
            "classes": class_rows(self.labels.names, counts),
            **as_floats(word_scores(self.sums)),
            "notes": list(self._notes()),
            "intervals": self.intervals,
            "per_image": {name: asdict(spread) for name, spread in self.per_image.items()},
        }

    def _notes(self) -> Iterator[str]:
        """Yield what makes scores undefined or misleading on these images."""
        if self.sums[TRUE] == 0:
            yield "The truth has no word that counts, only illegible ones or none: recall is undefined."
        elif self.sums[FOUND] == 0:
            yield "No word was found, or only illegible ones: precision is undefined."


def word_scores(sums: Sums) -> dict[str, Overall]:
    """Return score name -> (...) values, NaN where they are undefined.

    An h-mean is 0 if there are true words or found ones alone, and NaN without any.

    Args:
        sums: (5, ...) of an image, of several ones, or of bootstrap replicates.
    """
    true, found = sums[TRUE], sums[FOUND]
    recall, precision = ratio(sums[MATCHED], true), ratio(sums[MATCHED], found)
    deteval = _harmonic_mean(ratio(sums[TRUE_CREDIT], true), ratio(sums[FOUND_CREDIT], found))
    return {
        "hmean": _harmonic_mean(recall, precision),
        "word_precision": precision,
        "word_recall": recall,
        "deteval_hmean": deteval,
    }


def _harmonic_mean(first: Overall, second: Overall) -> Overall:
    mean: Overall = np.where(np.isnan(first) & np.isnan(second), np.nan, 0.0)
    np.divide(2 * first * second, first + second, out=mean, where=(first > 0) & (second > 0))
    return mean[()]


class WordScorer:
    """Accumulates scores of found words against true ones.

    Args:
        labels: The one class.
        uncertainty: Whether to compute distributions over the images and confidence intervals.
    """

    rank_title = SCORES["hmean"].column
    columns = ("hmean", "word_precision", "word_recall", "deteval_hmean", "words", "found_words")

    def __init__(self, labels: LabelTable, *, uncertainty: bool = False) -> None:
        self.labels = labels
        self.num_images = 0
        self._sums = np.zeros(5)
        self._uncertainty = (
            Uncertainty(word_scores, shape=self._sums.shape, dtype=np.float64) if uncertainty else None
        )

    def score(self, prediction: WordPrediction, sample: Sample) -> WordImageScores:
        """Add one image, and return its scores."""
        truth = sample.get(Words)
        assert truth is not None, "words are scored against words"
        found = match_words(truth.polygons, truth.is_ignored, prediction.polygons)
        counts = (found.is_counted_true.sum(), found.is_counted_found.sum(), len(found.pairs))
        sums = np.array([*counts, found.true_credit, found.found_credit], np.float64)
        self.num_images += 1
        self._sums += sums
        if self._uncertainty is not None:
            self._uncertainty.update(prediction.name, sums)
        return WordImageScores(prediction.name, sums)

    def merge(self, other: "WordScorer") -> None:
        """Add the counts of another scorer."""
        self._sums += other._sums
        self.num_images += other.num_images
        if self._uncertainty is not None and other._uncertainty is not None:
            self._uncertainty.merge(other._uncertainty)

    def compute(self) -> WordScores:
        """Return the scores of all images so far."""
        follows = self._uncertainty
        intervals, spreads = ({}, {}) if follows is None else (follows.intervals(), follows.spreads())
        return WordScores(self.labels, self.num_images, self._sums.copy(), intervals, spreads)
