"""Predictions: what a model says about one image, at the image's own size."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.label_map import LabelArray
from limner.core.segments import Segments, segments_of, segments_of_index


@dataclass(frozen=True)
class Prediction:
    """What a model says about one image.

    Attributes:
        name: The record's or file's name.
        semantic: (*spatial) uint8 trained labels 0..K-1 at the image's original size.
        probabilities: (K, *spatial) float32 that sum to 1 over K, or None where nobody asked.
    """

    name: str
    semantic: LabelArray
    probabilities: npt.NDArray[np.float32] | None = None


SURE = 0.5
"""Objects found with at least this score are drawn, numbered and counted in an image's F1; AP sees all."""

Masks = npt.NDArray[np.bool_]
"""(N, *spatial) one mask a segment; those of different segments may overlap."""


@dataclass(frozen=True)
class SegmentPrediction:
    """The objects that a model finds in one image, the most certain first; N may be 0.

    Attributes:
        name: The record's or file's name.
        masks: (N, *spatial) bool at the image's original size.
        labels: (N,) int64 trained labels 0..K-1.
        scores: (N,) float32 in [0, 1], descending.
    """

    name: str
    masks: Masks
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.masks)
        assert self.labels.shape == self.scores.shape == (count,), (self.labels.shape, self.scores.shape)

    def segments(self, least_score: float = 0.0) -> Segments:
        """Return the objects found with at least a score, as segments."""
        sure = self.scores >= least_score
        return segments_of(self.masks[sure], self.labels[sure].tolist(), shape=self.masks.shape[1:])


@dataclass(frozen=True)
class PanopticPrediction:
    """Every pixel of one image in at most one segment: an object, or all there is of a kind of stuff.

    Attributes:
        name: The record's or file's name.
        segment_ids: (*spatial) int32 at the image's original size; 0 is no segment, and segment number i
            of the following arrays has the id i + 1.
        labels: (N,) int64 trained labels 0..K-1.
        scores: (N,) float32 in [0, 1].
        is_thing: (N,) bool: an object that is counted, rather than stuff.
    """

    name: str
    segment_ids: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    is_thing: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.labels)
        assert self.scores.shape == self.is_thing.shape == (count,), (self.scores.shape, self.is_thing.shape)

    def segments(self) -> Segments:
        """Return objects and regions as segments."""
        return segments_of_index(self.segment_ids, self.labels.tolist())

    def semantic(self, *, nothing: int) -> LabelArray:
        """Return (*spatial) uint8 the class of each pixel, and `nothing` where no segment is."""
        return np.concatenate([[nothing], self.labels]).astype(np.uint8)[self.segment_ids]


AnyPrediction = Prediction | SegmentPrediction | PanopticPrediction
"""What the task of a model makes of an image."""
