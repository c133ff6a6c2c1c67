"""The scores of label maps: of one image, and of a whole dataset.

Shape legend: K classes.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.errors import ConfigError
from limner.core.labels import LabelTable
from limner.core.wording import element
from limner.evaluation.lengths import Lengths
from limner.evaluation.scores_file import as_floats, by_class_name, class_rows, some_names
from limner.evaluation.slice_cases import SliceCaseScores
from limner.metrics.boundary import ROWS, BoundaryScores, boundary_scores
from limner.metrics.case_scores import COUNTS, CaseScores
from limner.metrics.confusion import Counts, Overall, PerClass, PixelScores
from limner.metrics.spread import Interval, Spread
from limner.metrics.thresholds import ThresholdScores


@dataclass(frozen=True)
class LabelScores:
    """Scores of label maps: of one image, of the sums over several, or of bootstrap replicates.

    Attributes:
        labels: The classes, in the order of every (K) array.
        pixel: Pixel scores; NaN for classes in neither truth nor prediction.
        boundary: Boundary scores, if requested.
        case: Surface distances and the other scores of single cases, if requested.
    """

    labels: LabelTable
    pixel: PixelScores
    boundary: BoundaryScores | None = None
    case: CaseScores | None = None

    @property
    def foreground_dice(self) -> Overall | None:
        """Dice pooled over all classes but the background; NaN if none occurs, None without a background."""
        return self.pixel.foreground_dice(self.labels.background_index)

    def by_class(self) -> dict[str, PerClass]:
        """Return the (..., K) scores of the classes by name."""
        measured = (self.pixel, self.boundary, self.case)
        return {name: k for part in measured if part is not None for name, k in part.by_class().items()}

    def overall(self) -> dict[str, Overall]:
        """Return the scores over all classes by name."""
        found = self.pixel.overall(self.labels.background_index)
        for part in (self.boundary, self.case):
            found |= {} if part is None else part.overall()
        return found

    def named(self) -> dict[str, Overall]:
        """Return score name -> (...) values: scores over all classes, then ``iou/CLASS`` etc."""
        return self.overall() | by_class_name(self.labels.names, self.by_class())


@dataclass(frozen=True)
class SemanticImageScores:
    """The scores of one image.

    Attributes:
        name: The record's name.
        parts: Its scores.
    """

    name: str
    parts: LabelScores

    @property
    def rank(self) -> float:
        """The score that images are ordered by."""
        foreground = self.parts.foreground_dice
        return float(self.parts.pixel.mean_iou if foreground is None else foreground)

    @property
    def numbers(self) -> tuple[float, ...]:
        """One number per column; numbers of pixels are integers."""
        pixel, boundary, case = self.parts.pixel, self.parts.boundary, self.parts.case
        foreground = self.parts.foreground_dice
        first = (pixel.mean_iou,) if foreground is None else (foreground, pixel.mean_iou)
        kinds = (pixel.true_positives, pixel.false_positives, pixel.false_negatives)
        others = [k for part in (boundary, case) if part is not None for k in part.by_class().values()]
        return (
            *map(float, (*first, *pixel.iou, *pixel.dice)),
            *(int(count) for kind in kinds for count in kind),
            *(float(value) for values in others for value in values),
        )


@dataclass(frozen=True)
class SemanticScores:
    """The scores of a whole dataset: pooled over all pixels, and of cases also averaged over the cases.

    Attributes:
        labels: The classes, in the order of every (K) array.
        num_images: Number of scored images.
        confusion: (K, K) int64, rows truth and columns prediction.
        spatial_dims: 2 for images, 3 for volumes.
        parts: The scores.
        thresholds: Scores at every threshold, if requested.
        intervals: Score name, as in `items`, -> its 95 % bootstrap interval over images.
        per_image: Score name -> its distribution over the images.
        lengths: How distances were measured, if they were.
        slices: Scores of the volumes whose slices the images are, or None.
    """

    labels: LabelTable
    num_images: int
    confusion: Counts
    spatial_dims: int
    parts: LabelScores
    thresholds: ThresholdScores | None = None
    intervals: dict[str, Interval] = field(default_factory=dict)
    per_image: dict[str, Spread] = field(default_factory=dict)
    lengths: Lengths | None = None
    slices: SliceCaseScores | None = None

    def items(self) -> Iterator[tuple[str, float]]:
        """Yield score name -> value, as validation logs them."""
        yield from as_floats(self.parts.named()).items()
        if self.slices is not None:
            by_class = by_class_name(self.labels.names, self.slices.by_class())
            yield from (self.slices.overall() | as_floats(by_class)).items()

    def to_dict(self) -> dict[str, Any]:
        """Return the content of scores.json, without the split."""
        parts, pixel, case = self.parts, self.parts.pixel, self.parts.case
        slices = self.slices
        # Boundary scores that were not asked for are null.
        nothing = np.zeros((len(ROWS), self.labels.num_classes), np.int64)
        parts = replace(parts, boundary=parts.boundary or boundary_scores(nothing))
        counts = {
            "pixels": pixel.pixels,
            "predicted_pixels": pixel.predicted_pixels,
            "false_positives": pixel.false_positives,
            "false_negatives": pixel.false_negatives,
            **({} if case is None else case.counts()),
            **({} if slices is None else {**slices.by_class(), **slices.counts()}),
        }
        return {
            "task": "semantic",
            "num_images": self.num_images,
            "spatial_dims": self.spatial_dims,
            "length_unit": None if self.lengths is None else self.lengths.unit or None,
            "surface_tolerance": None if self.lengths is None else self.lengths.tolerance,
            "classes": self._class_rows(parts.by_class() | counts),
            **as_floats(parts.overall()),
            **({} if slices is None else slices.overall()),
            "num_absent_classes": pixel.num_absent,
            "notes": list(self._notes()),
            "intervals": self.intervals,
            "per_image": {name: asdict(spread) for name, spread in self.per_image.items()},
            "thresholds": None if self.thresholds is None else _thresholds_row(self.labels, self.thresholds),
            "confusion_matrix": self.confusion.tolist(),
        }

    def _class_rows(self, columns: Mapping[str, npt.NDArray[Any]]) -> list[dict[str, Any]]:
        """Return one row per class; the background has no cases (null), since it is not measured in them."""
        rows = class_rows(self.labels.names, columns)
        if self.labels.background_index is not None:
            rows[self.labels.background_index] |= {name: None for name in COUNTS if name in columns}
        return rows

    def _notes(self) -> Iterator[str]:
        """Yield what makes scores undefined or misleading on these images."""
        names, pixel, foreground = self.labels.names, self.parts.pixel, self.parts.foreground_dice
        what = element(self.spatial_dims)
        if len(names) == 1:
            yield f"There is one class, {names[0]}, so no {what} can be wrong: a label map has no score."
        elif not pixel.pixels.any():
            yield f"Every {what} of the truth is ignored, so there is no score."
        elif foreground is not None and math.isnan(foreground):
            yield (
                "Neither truth nor prediction has foreground: the foreground Dice is undefined, and the "
                "other scores are about the background only."
            )
        extra = [names[i] for i in np.flatnonzero((pixel.pixels == 0) & (pixel.predicted_pixels > 0))]
        if extra and len(names) > 1:
            yield f"Predicted, but not in the truth: {some_names(extra)}. An IoU of 0 there lowers the means."
        if self.slices is not None:
            count = len(self.slices.sums)
            yield f"The images are slices of {count} volumes; scores of cases are of these."
        if self.lengths is not None:
            yield from self.lengths.notes()
            if self.spatial_dims == 3 and self.labels.background_index is None and len(names) > 1:
                yield (
                    "No class is named background, so all classes count in the means over the classes. If "
                    "one is the background, name it so in dataset.yaml."
                )
        if self.thresholds is not None and math.isnan(self.thresholds.area_under_roc):
            wanted = names[foreground_index(self.labels)]
            yield (
                f"The truth has only one of the two classes, so that scores over all thresholds of {wanted} "
                "are undefined."
            )


def foreground_index(labels: LabelTable) -> int:
    """Return the foreground class of two: the one that is not the background, or else the second.

    Raises:
        ConfigError: There are not two classes.
    """
    if labels.num_classes != 2:
        raise ConfigError(
            f"Thresholds are for two classes, such as background and polyp; this model has "
            f"{labels.num_classes}: {', '.join(labels.names)}. Omit --thresholds."
        )
    return 0 if labels.background_index == 1 else 1


def _thresholds_row(labels: LabelTable, found: ThresholdScores) -> dict[str, Any]:
    threshold, dice = found.best
    return {
        "class_name": labels.names[foreground_index(labels)],
        "average_precision": found.average_precision,
        "area_under_roc": found.area_under_roc,
        "calibration_error": found.calibration_error,
        "best_threshold": threshold,
        "best_dice": dice,
        "reliability": [
            {"probability": probability, "fraction": fraction, "pixels": int(pixels)}
            for probability, fraction, pixels in found.reliability.tolist()
        ],
    }
