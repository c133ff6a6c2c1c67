"""Predictions for one image, at the image's original size."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.boxes import Boxes, boxes_of
from limner.core.labels import LabelArray, distinct_color, ignored_in
from limner.core.notebook import ColoredName, label_picture, notebook_table
from limner.core.segments import Segments, segments_of, segments_of_index
from limner.core.words import Polygon


@dataclass(frozen=True)
class Prediction:
    """Base class of the tasks' predictions for one image.

    Attributes:
        name: The record's or file's name.
    """

    name: str


@dataclass(frozen=True)
class SemanticPrediction(Prediction):
    """The class of each pixel.

    Attributes:
        semantic: (*spatial) trained labels 0..K-1 at the image's original size, uint8 or uint16 as in a
            `LabelMap`.
        probabilities: (K, *spatial) float32, or of large volumes float16, that sum to 1 over K; None if not
            requested.
    """

    semantic: LabelArray
    probabilities: npt.NDArray[np.floating[Any]] | None = None

    def _repr_html_(self) -> str:
        """Return the label map in colours and the size of each class, for notebooks."""
        numbers, counts = np.unique(self.semantic, return_counts=True)
        rows = [
            (ColoredName(f"class {number}", distinct_color(number)), count, count / self.semantic.size)
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
            if number != ignored_in(self.semantic)
        ]
        size = " x ".join(map(str, self.semantic.shape))
        table = notebook_table(f"{self.name}: {size}", ("class", "pixels", "fraction"), rows)
        return label_picture(self.semantic) + table


SCORE_THRESHOLD = 0.5
"""Minimum score of objects that are drawn, numbered and counted in an image's F1; AP uses all."""

Masks = npt.NDArray[np.bool_]
"""(N, *spatial) one mask per segment; masks may overlap."""


@dataclass(frozen=True)
class SegmentPrediction(Prediction):
    """The objects found in one image, highest score first; N may be 0.

    Attributes:
        masks: (N, *spatial) bool at the image's original size.
        labels: (N,) int64 trained labels 0..K-1.
        scores: (N,) float32 in [0, 1], descending.
    """

    masks: Masks
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.masks)
        assert self.labels.shape == self.scores.shape == (count,), (self.labels.shape, self.scores.shape)

    def cropped_to(self, size: tuple[int, ...]) -> "SegmentPrediction":
        """Return the prediction without the padding around an image of `size`."""
        return replace(self, masks=middle_of(self.masks, size))

    def segments(self, least_score: float = 0.0) -> Segments:
        """Return the objects with a score of at least `least_score`, as segments."""
        selected = self.scores >= least_score
        return segments_of(self.masks[selected], self.labels[selected].tolist(), shape=self.masks.shape[1:])


@dataclass(frozen=True)
class BoxPrediction(Prediction):
    """The boxes found in one image, highest score first; N may be 0.

    Attributes:
        xyxy: (N, 4) float32: left, top, right, bottom in pixels of the original image, inside it.
        labels: (N,) int64 trained labels 0..K-1.
        scores: (N,) float32 in [0, 1], descending.
        shape: (H, W) of the image.
    """

    xyxy: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        count = len(self.labels)
        assert self.xyxy.shape == (count, 4) and self.scores.shape == (count,), (
            self.xyxy.shape,
            self.scores.shape,
        )

    def boxes(self, least_score: float = 0.0) -> Boxes:
        """Return the boxes with a score of at least `least_score`."""
        selected = self.scores >= least_score
        return boxes_of(self.xyxy[selected].tolist(), self.labels[selected].tolist(), shape=self.shape)


@dataclass(frozen=True)
class PanopticPrediction(Prediction):
    """The panoptic segments of one image: objects, and one segment for each class of stuff.

    Attributes:
        segment_ids: (*spatial) int32 at the image's original size; 0 is no segment, and i + 1 is segment i
            of the arrays below.
        labels: (N,) int64 trained labels 0..K-1.
        scores: (N,) float32 in [0, 1].
        is_thing: (N,) bool: a countable object, rather than stuff.
    """

    segment_ids: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    is_thing: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.labels)
        assert self.scores.shape == self.is_thing.shape == (count,), (self.scores.shape, self.is_thing.shape)

    def cropped_to(self, size: tuple[int, ...]) -> "PanopticPrediction":
        """Return the prediction without the padding around an image of `size`."""
        return replace(self, segment_ids=middle_of(self.segment_ids, size))

    def segments(self) -> Segments:
        """Return objects and stuff as segments."""
        return segments_of_index(self.segment_ids, self.labels.tolist())

    def semantic(self, *, nothing: int) -> LabelArray:
        """Return (*spatial) the class of each pixel, and `nothing` where no segment is.

        Args:
            nothing: The ignored value of the classes, whose type the result has: uint8 or uint16.
        """
        labels: LabelArray = np.concatenate([[nothing], self.labels]).astype(np.min_scalar_type(nothing))
        return labels[self.segment_ids]


@dataclass(frozen=True)
class ClassPrediction(Prediction):
    """The class of a whole image.

    Attributes:
        probabilities: (K,) float32 that sum to 1.
    """

    probabilities: npt.NDArray[np.float32]

    @property
    def label(self) -> int:
        """The most probable class, 0..K-1."""
        return int(self.probabilities.argmax())

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(self.probabilities.max())


@dataclass(frozen=True)
class TagPrediction(Prediction):
    """The classes of a whole image, any number of them.

    Attributes:
        probabilities: (K,) float32, each in [0, 1].
    """

    probabilities: npt.NDArray[np.float32]

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes with a probability of 0.5 or more."""
        return tuple(np.flatnonzero(self.probabilities >= SCORE_THRESHOLD).tolist())


@dataclass(frozen=True)
class WordPrediction(Prediction):
    """The words found in one image, highest score first; N may be 0.

    Attributes:
        polygons: N outlines (points, 2): x, y in pixels of the image at its original size.
        scores: (N,) float32 in [0, 1], descending: mean probability of text in the core of the word.
    """

    polygons: tuple[Polygon, ...]
    scores: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        assert self.scores.shape == (len(self.polygons),), (self.scores.shape, len(self.polygons))


def middle_of(array: npt.NDArray[Any], size: tuple[int, ...]) -> npt.NDArray[Any]:
    """Crop the last axes of an array to `size`, around the centre."""
    for axis, length in enumerate(size, start=array.ndim - len(size)):
        start = (array.shape[axis] - length) // 2
        if array.shape[axis] > length:
            array = array.take(np.arange(start, start + length), axis)
    return array
