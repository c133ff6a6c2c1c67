"""The one table of scores: what each is called, what it means, when it misleads, and where it is shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Shown(IntEnum):
    """How prominently a score over all classes is shown; each level includes those before it."""

    NOWHERE = 0
    """Not as a score over all classes."""
    LISTED = 1
    """In the list that `limner evaluate` prints, and in the report below the table of classes."""
    COMPARED = 2
    """Also between runs, as a curve over training, and with its spread over the images."""
    HEADLINE = 3
    """Also large in the report, between networks, and while training."""


@dataclass(frozen=True)
class Score:
    """One score, or one count that is written beside the scores.

    Attributes:
        words: Its name inside a sentence, such as ``mean IoU``.
        definition: What it means, and when it misleads.
        shown: Where its value over all classes is shown; most also have a value for each image.
        by_class: Whether it is a column in tables of classes.
        short: Its name in tables and in one line; empty takes `words`.
        unit: What a count counts, such as ``objects``; empty for a score from 0 to 1.
        best: The value of a perfect result: 1 where higher is better, 0 for errors, None for counts.
    """

    words: str
    definition: str
    shown: Shown = Shown.NOWHERE
    by_class: bool = False
    short: str = ""
    unit: str = ""
    best: float | None = 1.0

    @property
    def title(self) -> str:
        """Its name at the beginning of a line."""
        return self.words[0].upper() + self.words[1:]

    @property
    def label(self) -> str:
        """Its name where there is little room."""
        return self.short or self.words

    @property
    def column(self) -> str:
        """The same at the head of a column of a page."""
        return self.label[0].upper() + self.label[1:]


LISTED, COMPARED, HEADLINE = Shown.LISTED, Shown.COMPARED, Shown.HEADLINE


def _count(words: str, definition: str, *, unit: str) -> Score:
    return Score(words, definition, by_class=True, unit=unit, best=None)


def _ap(words: str, what: str, more: str) -> Score:
    definition = (
        f"Average precision of {what} as COCO defines it: the precision averaged over 101 values of the "
        f"recall, over the classes, and over IoU thresholds of 0.50, 0.55, ..., 0.95; {more}."
    )
    return Score(words, definition, HEADLINE, by_class=True)


def _ap_of_size(words: str, what: str, size: str) -> Score:
    definition = f"AP of {what} of objects {size} pixels; says nothing about objects of other sizes."
    return Score(words, definition, LISTED)


_QUALITIES = {
    "pq": (
        "panoptic quality (PQ)",
        "Panoptic quality, SQ times RQ, averaged over {group}; segments of all sizes count the same.",
    ),
    "sq": (
        "segmentation quality (SQ)",
        "Segmentation quality: the mean IoU of the matched segments (IoU above 0.5), averaged over {group}; "
        "missed segments do not lower it.",
    ),
    "rq": (
        "recognition quality (RQ)",
        "Recognition quality: the F1 score of the segments, matched at an IoU above 0.5, averaged over "
        "{group}; says nothing about borders.",
    ),
}


def _quality_over(group: str, kind: str) -> dict[str, Score]:
    """Return PQ, SQ and RQ over the classes of a kind."""
    return {
        f"{name}_{kind}": Score(
            f"{name.upper()} of {kind}", text.format(group=group), HEADLINE if name == "pq" else LISTED
        )
        for name, (_, text) in _QUALITIES.items()
    }


SCORES: dict[str, Score] = {
    # Label maps, over all classes.
    "mean_iou": Score(
        "mean IoU",
        "The IoU averaged over the classes, background included, that occur in truth or prediction; every "
        "class counts the same, however rare.",
        HEADLINE,
    ),
    "mean_dice": Score(
        "mean Dice",
        "The Dice averaged over the classes, background included, that occur in truth or prediction; an "
        "easy background lifts it.",
        HEADLINE,
    ),
    "mean_recall": Score(
        "mean recall",
        "The recall averaged over the classes that occur in the truth, also called balanced accuracy; every "
        "class counts the same, however rare. A model that predicts rare classes too often keeps a high one: "
        "look at the precision too.",
        HEADLINE,
    ),
    "foreground_dice": Score(
        "foreground Dice",
        "Dice of all classes but `background`, their pixels pooled over all images; large objects weigh "
        "more than small ones. Undefined for an image where truth and prediction are background only.",
        HEADLINE,
    ),
    "pixel_accuracy": Score(
        "pixel accuracy",
        "The fraction of all pixels that are right; misleads where one class fills the images, since "
        "predicting nothing else already scores high.",
        HEADLINE,
    ),
    "frequency_weighted_iou": Score(
        "frequency-weighted IoU",
        "The IoU averaged over the classes, each weighted by its fraction of the true pixels; rare classes "
        "hardly count.",
        COMPARED,
    ),
    "mean_boundary_iou": Score(
        "mean boundary IoU", "The boundary IoU averaged over the classes that have a boundary.", COMPARED
    ),
    "mean_boundary_f1": Score(
        "mean boundary F1", "The boundary F1 averaged over the classes that have an outline.", COMPARED
    ),
    # Label maps, class by class.
    "iou": Score(
        "IoU",
        "Intersection over union (Jaccard index): of all pixels that are the class in truth or prediction, "
        "the fraction that are so in both, over all images at once; for small or thin objects one pixel of "
        "border costs much.",
        by_class=True,
    ),
    "dice": Score(
        "Dice",
        "Twice the pixels right over the pixels of the class in truth plus in prediction, over all images "
        "at once (F1), which is 2 IoU / (1 + IoU); never below the IoU, so compare like with like.",
        by_class=True,
    ),
    # Objects.
    "ap": _ap("mask AP", "the masks", "borders that are a little off cost much, above all on small objects"),
    "ap50": Score(
        "mask AP50",
        "AP of the masks at an IoU of 0.5 alone: was the object found at all; says little about its border.",
        HEADLINE,
        by_class=True,
    ),
    "ap75": Score(
        "mask AP75", "AP of the masks at an IoU of 0.75 alone: was the object outlined well.", COMPARED
    ),
    "ap_small": _ap_of_size("mask AP of small objects", "the masks", "below 32 x 32"),
    "ap_medium": _ap_of_size("mask AP of medium objects", "the masks", "from 32 x 32 up to 96 x 96"),
    "ap_large": _ap_of_size("mask AP of large objects", "the masks", "above 96 x 96"),
    "box_ap": _ap("box AP", "the boxes around the masks", "a good box says little about the mask inside"),
    "box_ap50": Score("box AP50", "AP of the boxes at an IoU of 0.5 alone.", LISTED),
    "box_ap75": Score("box AP75", "AP of the boxes at an IoU of 0.75 alone.", LISTED),
    "box_ap_small": _ap_of_size("box AP of small objects", "the boxes", "below 32 x 32"),
    "box_ap_medium": _ap_of_size("box AP of medium objects", "the boxes", "from 32 x 32 up to 96 x 96"),
    "box_ap_large": _ap_of_size("box AP of large objects", "the boxes", "above 96 x 96"),
    # Panoptic segments.
    **{
        name: Score(words, text.format(group="all classes"), HEADLINE, by_class=True, short=name.upper())
        for name, (words, text) in _QUALITIES.items()
    },
    **_quality_over("the countable classes", "things"),
    **_quality_over("the classes of stuff", "stuff"),
    # Objects and panoptic segments alike; precision and recall of label maps too.
    "f1": Score(
        "F1 at IoU 0.5",
        "Twice the matched objects over true plus found ones, of those found with a score of 0.5 or more and "
        "matched at an IoU of 0.5; AP also looks at the less certain ones.",
        HEADLINE,
        by_class=True,
        short="F1",
    ),
    "f1_75": Score(
        "F1 at IoU 0.75",
        "The F1 of the objects or segments, all classes pooled, matched at an IoU of 0.75: found and "
        "outlined well.",
        HEADLINE,
        short="F1 at 0.75",
    ),
    "precision": Score(
        "precision",
        "Of what is predicted, the fraction that is right: of pixels those predicted as the class, of "
        "objects those found with a score of 0.5 or more, at an IoU of 0.5; a model that predicts little can "
        "have a high one.",
        LISTED,
        by_class=True,
    ),
    "recall": Score(
        "recall",
        "Of what is in the truth, the fraction that is found: of pixels those of the class, of objects those "
        "found with a score of 0.5 or more, at an IoU of 0.5; a model that predicts the class everywhere "
        "has 1.",
        LISTED,
        by_class=True,
    ),
    "count_error": Score(
        "count error",
        "How many objects too many or too few are found in an image, on average; errors of several classes "
        "are added up. A number of objects, not a fraction; a right count may hold wrong objects.",
        LISTED,
        unit="objects",
        best=0.0,
    ),
    "count_bias": Score(
        "count bias",
        "The count error with its sign: above 0 where too many are found, below where too few.",
        LISTED,
        unit="objects",
        best=0.0,
    ),
    # Outlines of label maps, class by class.
    "boundary_iou": Score(
        "boundary IoU",
        "The IoU of two bands: the pixels of the class within 2 % of the image's diagonal of its border, in "
        "truth and in prediction (Cheng et al., 2021); of large objects it sees what the IoU hardly does, of "
        "small ones it is nearly the IoU.",
        by_class=True,
    ),
    "boundary_f1": Score(
        "boundary F1",
        "The harmonic mean of two fractions: of the predicted outline what is within 0.75 % of the diagonal "
        "of the true outline, and the other way round; an outline that is a little off everywhere still "
        "scores 1.",
        by_class=True,
    ),
    # Label maps of two classes at every threshold.
    "average_precision": Score(
        "average precision",
        "Area under the precision-recall curve over the pixels, in steps; without skill it is the fraction "
        "of the pixels that are the class.",
    ),
    "area_under_roc": Score(
        "area under ROC",
        "Area under the ROC curve over the pixels; without skill 0.5. Misleads where the class is rare, "
        "since the many easy other pixels lift it.",
    ),
    "calibration_error": Score(
        "calibration error",
        "Expected calibration error of the class's probability: over 15 bins of equal width, how far the "
        "mean probability is from the fraction of the pixels that are the class, weighted by pixels.",
        best=0.0,
    ),
    "best_threshold": Score(
        "best threshold",
        "The lowest probability at which to predict the class so that the Dice is highest on these very "
        "images; choose it on validation images, never on the test images it is reported for.",
        best=None,
    ),
    "best_dice": Score(
        "best Dice",
        "The Dice at the best threshold: an optimistic number, since these images chose it.",
    ),
    # Counts of each class.
    "pixels": _count("pixels", "Pixels of the class in the truth.", unit="pixels"),
    "predicted_pixels": _count("predicted", "Pixels predicted as the class.", unit="pixels"),
    "objects": _count("objects", "True objects, crowds left out.", unit="objects"),
    "found_objects": _count("found objects", "Found objects, whatever their score.", unit="objects"),
    "true_positives": _count("true positives", "Matched segments.", unit="segments"),
    "false_positives": _count(
        "false positives", "Pixels or segments predicted as the class that are not.", unit="segments"
    ),
    "false_negatives": _count(
        "false negatives", "Pixels or segments of the class that were missed.", unit="segments"
    ),
}
"""Name in scores.json -> score, in the order in which scores are shown; a new score is a line here."""

NOTES: dict[str, Score] = {
    "f1_by_iou": Score(
        "F1 by IoU", "Precision, recall and F1 from an IoU of 0.50 to one of 0.95, all classes pooled."
    ),
    "matched_iou": Score(
        "IoU of matched pairs",
        "Of the pairs matched at an IoU of 0.5, how many have which IoU: how good borders are.",
    ),
    "intervals": Score(
        "intervals",
        "95 % bootstrap intervals: images are drawn again, 1000 times (AP: 200), and of the scores that come "
        "out the middle 95 % lie between the ends. They tell how far other images of the same kind may move "
        "the score; not what another training or another kind of images would give.",
    ),
    "per_image": Score(
        "image by image",
        "Each image scored alone, then the mean, the median and the 5th percentile over the images that have "
        "the score, to a ten-thousandth; a small image counts as much as a large one.",
    ),
    "absent": Score(
        "without a score",
        "A class in neither truth nor prediction (for AP: without a true object) has no score (null), and no "
        "mean counts it. Ignored pixels, pixels in no true segment, and what is found in a crowd count "
        "neither as right nor as wrong. For AP, each image and class counts its 100 surest objects.",
    ),
}
"""What else scores.json holds that needs an explanation."""


def shown(values: Mapping[str, Any], *, least: Shown = HEADLINE, first: Iterable[str] = ()) -> list[str]:
    """Return the names of the scores to show, in order: those of `first`, then as in `SCORES`.

    Foreground Dice is left out where it equals pixel accuracy: there is no background, so it says nothing
    about a foreground.

    Args:
        values: Score name -> value; None and NaN count as no score. Other names are passed over.
        least: How prominent a score must be; those of `first` always are.
        first: The names to begin with.
    """
    first = tuple(first)
    named = [*first, *(name for name, score in SCORES.items() if score.shown >= least)]
    found = [name for name in dict.fromkeys(named) if _exists(values.get(name))]
    if values.get("foreground_dice") == values.get("pixel_accuracy") != 1:
        return [name for name in found if name != "foreground_dice"]
    return found


def explained(names: Iterable[str]) -> dict[str, str]:
    """Return name -> definition of those names that are in the table, in its order."""
    wanted = set(names)
    return {name: row.definition for name, row in (SCORES | NOTES).items() if name in wanted}


def _exists(value: object) -> bool:
    """Return whether a value is there and not NaN, which alone differs from itself."""
    return value is not None and value == value  # noqa: PLR0124
