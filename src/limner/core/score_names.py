"""Table of scores: name, meaning, when it is misleading, and where it is shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any


class Shown(IntEnum):
    """Prominence of a score over all classes; each level includes the previous ones."""

    NOWHERE = 0
    """Not as a score over all classes."""
    LISTED = 1
    """In the output of `limner evaluate`, and in the report below the table of classes."""
    COMPARED = 2
    """Also in comparisons of runs, as a curve over training, and with its distribution over the images."""
    HEADLINE = 3
    """Also at the top of the report, in comparisons of networks, and during training."""


@dataclass(frozen=True)
class Score:
    """One score, or one count that is written with the scores.

    Attributes:
        words: Name in a sentence, such as ``mean IoU``.
        definition: Its meaning, and when it is misleading.
        shown: Where its value over all classes is shown; most also have a value for each image.
        by_class: Whether it is a column in tables of classes.
        short: Name in tables and single lines; defaults to `words`.
        unit: Unit of a count, such as ``objects``; `LENGTH` or `VOLUME` if it depends on the images; empty
            for a score from 0 to 1.
        best: Value of a perfect result: 1 if higher is better, 0 for errors, None for counts.
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
        """Name at the start of a line."""
        return self.words[0].upper() + self.words[1:]

    @property
    def label(self) -> str:
        """Short name."""
        return self.short or self.words

    @property
    def column(self) -> str:
        """Short name as a column heading."""
        return self.label[0].upper() + self.label[1:]

    def of_voxels(self) -> "Score":
        """Return the score of a volume, which has voxels."""

        def voxels(text: str) -> str:
            return text.replace("pixel", "voxel").replace("Pixel", "Voxel")

        words, definition, short = map(voxels, (self.words, self.definition, self.short))
        return replace(self, words=words, definition=definition, short=short)


LISTED, COMPARED, HEADLINE = Shown.LISTED, Shown.COMPARED, Shown.HEADLINE

LENGTH, VOLUME = "length", "volume"
"""Units of distances and sizes: millimetres, or pixels or voxels where the spacing is unknown."""

PENALTY = (
    "A class that is there and was not found, or was found and is not there, counts with the diagonal of the "
    "image or volume; cases with neither are left out"
)
"""What distances are where one of the surfaces does not exist."""


def _count(words: str, definition: str, *, unit: str) -> Score:
    return Score(words, definition, by_class=True, unit=unit, best=None)


def _ap(words: str, what: str, more: str) -> Score:
    definition = (
        f"Average precision of {what} as COCO defines it: the precision averaged over 101 values of the "
        f"recall, over the classes, and over IoU thresholds of 0.50, 0.55, ..., 0.95; {more}."
    )
    return Score(words, definition, HEADLINE, by_class=True)


def _ap_of_size(words: str, what: str, size: str) -> Score:
    definition = f"AP of the {what} with an area {size} pixels; says nothing about objects of other sizes."
    return Score(words, definition, LISTED)


def _average_recalls(prefix: str, what: str, plural: str) -> dict[str, Score]:
    """Return COCO's average recalls of masks or boxes."""
    of_numbers = {
        f"{prefix}ar_{most}": Score(
            f"{what} AR with {most} per image",
            f"Average recall of the {plural} as COCO defines it: the fraction of the true {plural} found by "
            f"the {most} highest-scoring {plural} of each class and image, averaged over the classes and "
            f"over IoU thresholds of 0.50, 0.55, ..., 0.95; wrong {plural} do not lower it.",
            LISTED,
        )
        for most in (1, 10, 100)
    }
    of_sizes = {
        f"{prefix}ar_{size}": Score(
            f"{what} AR of {size} objects",
            f"Average recall of the {size} {plural} with 100 per image and class; sizes as for the AP.",
            LISTED,
        )
        for size in ("small", "medium", "large")
    }
    return of_numbers | of_sizes


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


_OF_CLASSES = {
    "precision": ("precision", "a class that is never predicted counts as 0"),
    "recall": (
        "recall",
        "a class that is predicted but has no image counts as 0, unlike in the balanced accuracy",
    ),
    "f1_score": ("F1", "high only where both precision and recall are"),
    "specificity": (
        "specificity",
        "with many classes it is near 1 for any model, since most images are of others; undefined if all "
        "images are of one class",
    ),
}
"""Scores of classes of whole images, and what to know about their means."""


def _means_of_classes() -> dict[str, Score]:
    """Return the means over the classes of whole images: every class, or every image, counts the same."""
    means = {}
    for name, (words, remark) in _OF_CLASSES.items():
        shown = HEADLINE if name == "f1_score" else COMPARED
        means[f"macro_{name}"] = Score(
            f"macro {words}",
            f"The {words} averaged over the classes that occur in truth or prediction; every class counts "
            f"the same, however rare; {remark}.",
            shown,
        )
        means[f"weighted_{name}"] = Score(
            f"weighted {words}",
            f"The {words} averaged over the classes, each weighted by its number of true images; rare "
            "classes hardly count.",
            LISTED,
        )
    return means


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
        "easy background raises it.",
        HEADLINE,
    ),
    "mean_recall": Score(
        "mean recall",
        "The recall averaged over the classes that occur in the truth, also called balanced accuracy; every "
        "class counts the same, however rare. It stays high if rare classes are predicted too often: check "
        "the precision too.",
        HEADLINE,
    ),
    "foreground_dice": Score(
        "foreground Dice",
        "Dice of all classes but `background`, their pixels pooled over all images; large objects weigh "
        "more than small ones. Undefined for an image where truth and prediction are background only; absent "
        "if no class is named `background`.",
        HEADLINE,
    ),
    "pixel_accuracy": Score(
        "pixel accuracy",
        "The fraction of all pixels that are correct; misleading if one class dominates the images, since "
        "predicting only this class already scores high.",
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
    # Label maps of volumes, and of images with known spacing: case by case, averaged over the cases.
    "mean_case_dice": Score(
        "mean Dice of cases",
        "The Dice of each class in each case, averaged over the cases and then over the classes without the "
        "background. A class that was missed, or found where there is none, counts as 0; cases with neither "
        "are left out. Small structures count as much as large ones.",
        HEADLINE,
        short="case Dice",
    ),
    "mean_surface_dice": Score(
        "mean surface Dice",
        "The surface Dice of the classes, averaged over the classes without the background.",
        COMPARED,
    ),
    "mean_hd95": Score(
        "mean HD95",
        "The HD95 averaged over the classes without the background.",
        COMPARED,
        unit=LENGTH,
        best=0.0,
    ),
    "mean_surface_distance": Score(
        "mean surface distance",
        "The average surface distance of the classes, averaged over the classes without the background.",
        LISTED,
        unit=LENGTH,
        best=0.0,
    ),
    "mean_volume_difference": Score(
        "mean volume difference",
        "The volume difference of the classes, averaged over the classes without the background; large "
        "structures dominate it.",
        LISTED,
        unit=VOLUME,
        best=0.0,
    ),
    # Label maps, class by class.
    "iou": Score(
        "IoU",
        "Intersection over union (Jaccard index): of all pixels that are the class in truth or prediction, "
        "the fraction that are the class in both, pooled over all images; an error of one pixel at the "
        "border lowers it much for small or thin objects.",
        by_class=True,
    ),
    "dice": Score(
        "Dice",
        "Twice the correct pixels over the pixels of the class in truth plus in prediction, pooled over all "
        "images (F1); equals 2 IoU / (1 + IoU), so it is never below the IoU: do not compare the two.",
        by_class=True,
    ),
    "case_dice": Score(
        "Dice of cases",
        "The Dice of the class in each case, averaged over the cases that have it in truth or prediction; 0 "
        "where it was missed, or found where there is none.",
        by_class=True,
        short="case Dice",
    ),
    "surface_dice": Score(
        "surface Dice",
        "The fraction of the points of both surfaces that are within the tolerance of the other surface "
        "(normalised surface Dice), averaged over the cases; 0 where one of them does not exist. The "
        "tolerance is the largest spacing of each case, unless stated: compare only scores of the same.",
        by_class=True,
    ),
    "hd95": Score(
        "HD95",
        "95th percentile of the Hausdorff distance: 95 % of the points of each surface are at most this far "
        f"from the other one, averaged over the cases. {PENALTY}. It says nothing about the inside.",
        by_class=True,
        unit=LENGTH,
        best=0.0,
    ),
    "surface_distance": Score(
        "average surface distance",
        "Mean distance of the points of both surfaces to the other one (symmetric, ASSD), averaged over the "
        f"cases. {PENALTY}. A small part that is far away hardly changes it.",
        by_class=True,
        short="surface distance",
        unit=LENGTH,
        best=0.0,
    ),
    "volume_difference": Score(
        "volume difference",
        "Absolute difference between the volumes (areas of images) of the class in truth and prediction, "
        "averaged over the cases; 0 also for a region of the right size in the wrong place.",
        by_class=True,
        unit=VOLUME,
        best=0.0,
    ),
    # Objects.
    "ap": _ap("mask AP", "the masks", "slightly wrong borders lower it much, especially for small objects"),
    "ap50": Score(
        "mask AP50",
        "AP of the masks at an IoU of 0.5 only: whether objects were found; says little about their borders.",
        HEADLINE,
        by_class=True,
    ),
    "ap75": Score(
        "mask AP75", "AP of the masks at an IoU of 0.75 only: whether objects were outlined well.", COMPARED
    ),
    "ap_small": _ap_of_size("mask AP of small objects", "masks", "below 32 x 32"),
    "ap_medium": _ap_of_size("mask AP of medium objects", "masks", "from 32 x 32 up to 96 x 96"),
    "ap_large": _ap_of_size("mask AP of large objects", "masks", "above 96 x 96"),
    "box_ap": _ap("box AP", "the boxes", "where objects have masks, a good box says little about the mask"),
    "box_ap50": Score(
        "box AP50",
        "AP of the boxes at an IoU of 0.5 only: whether objects were found; says little about their borders.",
        COMPARED,
        by_class=True,
    ),
    "box_ap75": Score("box AP75", "AP of the boxes at an IoU of 0.75 only.", COMPARED),
    "box_ap_small": _ap_of_size("box AP of small objects", "boxes", "below 32 x 32"),
    "box_ap_medium": _ap_of_size("box AP of medium objects", "boxes", "from 32 x 32 up to 96 x 96"),
    "box_ap_large": _ap_of_size("box AP of large objects", "boxes", "above 96 x 96"),
    **_average_recalls("", "mask", "masks"),
    **_average_recalls("box_", "box", "boxes"),
    "voc_ap50": Score(
        "VOC AP",
        "Average precision of the boxes at an IoU of 0.5 as PASCAL VOC defines it since 2010: over all "
        "recalls instead of 101, and a box counts as wrong if its nearest true box is taken; averaged over "
        "the classes.",
        LISTED,
        by_class=True,
    ),
    "froc": Score(
        "FROC",
        "The fraction of the objects found at an IoU of 0.5, all classes pooled, averaged over tolerated "
        "numbers of false ones of 1/8, 1/4, 1/2, 1, 2, 4 and 8 per image; for images with few objects, such "
        "as lesions.",
        LISTED,
    ),
    # Panoptic segments.
    **{
        name: Score(words, text.format(group="all classes"), HEADLINE, by_class=True, short=name.upper())
        for name, (words, text) in _QUALITIES.items()
    },
    **_quality_over("the countable classes", "things"),
    **_quality_over("the classes of stuff", "stuff"),
    # Words.
    "hmean": Score(
        "harmonic mean (h-mean)",
        "Harmonic mean of precision and recall of the words by the rules of ICDAR 2015: a found word is "
        "right if its IoU with a true one is above 0.5, each matched once. Illegible words do not count. A "
        "word that is found in two pieces counts as missed.",
        HEADLINE,
        short="h-mean",
    ),
    "word_precision": Score(
        "precision of words",
        "The fraction of found words that are right. A model that finds few words can have a high precision.",
        COMPARED,
    ),
    "word_recall": Score(
        "recall of words",
        "The fraction of true words that are found; says nothing about wrong ones.",
        COMPARED,
    ),
    "deteval_hmean": Score(
        "DetEval h-mean",
        "Harmonic mean by the rules of Total-Text (DetEval): 0.7 of a true and 0.6 of a found word must "
        "overlap; words found in several pieces, and pieces that cover several words, count 0.8. High even "
        "if lines of text are divided differently from the truth.",
        LISTED,
    ),
    # Objects and panoptic segments alike; precision and recall of label maps too.
    "f1": Score(
        "F1 at IoU 0.5",
        "Twice the matched objects over true plus found ones, with a score of 0.5 or more and matched at an "
        "IoU of 0.5; AP also includes objects with lower scores.",
        HEADLINE,
        by_class=True,
        short="F1",
    ),
    "f1_75": Score(
        "F1 at IoU 0.75",
        "The F1 of the objects or segments, all classes pooled, matched at an IoU of 0.75: whether they were "
        "found and outlined well.",
        HEADLINE,
        short="F1 at 0.75",
    ),
    "precision": Score(
        "precision",
        "The fraction of predictions that are correct: of the pixels or images predicted as the class; for "
        "objects, of those found with a score of 0.5 or more, at an IoU of 0.5. A model that predicts little "
        "can have a high precision.",
        LISTED,
        by_class=True,
    ),
    "recall": Score(
        "recall",
        "The fraction of the truth that is found: of the pixels or images of the class; for objects, of all "
        "true ones, by predictions with a score of 0.5 or more, at an IoU of 0.5. A model that predicts the "
        "class everywhere has a recall of 1.",
        LISTED,
        by_class=True,
    ),
    "count_error": Score(
        "count error",
        "Absolute difference between the numbers of found and true objects in an image, on average; errors "
        "of several classes are summed. A number of objects, not a fraction; with a correct count, objects "
        "can still be wrong.",
        LISTED,
        unit="objects",
        best=0.0,
    ),
    "count_bias": Score(
        "count bias",
        "The count error with its sign: positive if too many objects are found, negative if too few.",
        LISTED,
        unit="objects",
        best=0.0,
    ),
    # Classes of whole images.
    "accuracy": Score(
        "accuracy",
        "The fraction of the images whose most probable class is the true one (top-1); misleading if one "
        "class dominates, since predicting only this class already scores high.",
        HEADLINE,
    ),
    "top5_accuracy": Score(
        "top-5 accuracy",
        "The fraction of the images whose true class is among the five most probable ones; absent for fewer "
        "than 6 classes.",
        HEADLINE,
        short="top-5",
    ),
    "balanced_accuracy": Score(
        "balanced accuracy",
        "The recall averaged over the classes that have images; every class counts the same, however rare, "
        "so that one image of a rare class changes it much.",
        HEADLINE,
    ),
    **_means_of_classes(),
    "micro_f1_score": Score(
        "micro F1",
        "Of images with any number of classes: the F1 of all classes of all images pooled, at a probability "
        "of 0.5; common classes dominate it.",
        HEADLINE,
    ),
    "samples_f1_score": Score(
        "F1 of images",
        "Of images with any number of classes: the F1 of each image's classes, averaged over the images that "
        "have one or for which one is predicted.",
        COMPARED,
    ),
    "subset_accuracy": Score(
        "subset accuracy",
        "Of images with any number of classes: the fraction of images whose classes are all right; falls "
        "with the number of classes.",
        COMPARED,
    ),
    "macro_average_precision": Score(
        "macro average precision",
        "The average precision of each class against the rest, averaged over the classes that have images; "
        "says how well images are ordered, not whether the most probable class is right.",
        COMPARED,
        short="macro AP",
    ),
    "macro_area_under_roc": Score(
        "macro area under ROC",
        "The area under the ROC curve of each class against the rest, averaged over the classes that have "
        "images; without skill 0.5. With many classes it is high even for a poor model.",
        COMPARED,
        short="macro AUC",
    ),
    "true_class_probability": Score(
        "probability of the true class",
        "The predicted probability of the true class, averaged over the images; it also rewards confidence, "
        "deserved or not.",
        LISTED,
        short="p(truth)",
    ),
    "confidence_error": Score(
        "calibration error of the confidence",
        "Expected calibration error of the most probable class: over 15 bins of equal width, how far the "
        "mean confidence is from the fraction of right images, weighted by images; unreliable below a "
        "few hundred images.",
        LISTED,
        best=0.0,
    ),
    "log_loss": Score(
        "log loss",
        "The mean of minus the natural logarithm of the true class's probability (cross-entropy); without "
        "skill the logarithm of the number of classes. A few images that are confidently wrong dominate it.",
        LISTED,
        unit="nats",
        best=0.0,
    ),
    "f1_score": Score(
        "F1",
        "The harmonic mean of precision and recall of a class of whole images: twice the right images over "
        "the true plus the predicted ones.",
        by_class=True,
    ),
    "specificity": Score(
        "specificity",
        "The fraction of the images of other classes that are not predicted as the class; near 1 for a rare "
        "class even if it is never found.",
        by_class=True,
    ),
    # Outlines of label maps, class by class.
    "boundary_iou": Score(
        "boundary IoU",
        "The IoU of two bands: the pixels of the class within 2 % of the image's diagonal of its border, in "
        "truth and in prediction (Cheng et al., 2021); more sensitive to borders of large objects than the "
        "IoU, and nearly equal to it for small ones.",
        by_class=True,
    ),
    "boundary_f1": Score(
        "boundary F1",
        "The harmonic mean of two fractions: of the predicted outline within 0.75 % of the diagonal of the "
        "true outline, and vice versa; an outline that is slightly wrong everywhere still scores 1.",
        by_class=True,
    ),
    # Label maps of two classes, or a class of whole images, at every threshold.
    "average_precision": Score(
        "average precision",
        "Area under the precision-recall curve over the pixels or images, in steps; without skill it is the "
        "fraction of them that are the class.",
        by_class=True,
        short="AP",
    ),
    "area_under_roc": Score(
        "area under ROC",
        "Area under the ROC curve over the pixels or images; without skill 0.5. Misleading if the class is "
        "rare, since the many easy ones of other classes raise it.",
        by_class=True,
        short="AUC",
    ),
    "calibration_error": Score(
        "calibration error",
        "Expected calibration error of the class's probability: over 15 bins of equal width, how far the "
        "mean probability is from the fraction of the pixels that are the class, weighted by pixels.",
        best=0.0,
    ),
    "best_threshold": Score(
        "best threshold",
        "The lowest probability threshold with the highest Dice on these images; choose it on validation "
        "images, never on the test images that scores are reported for.",
        best=None,
    ),
    "best_dice": Score(
        "best Dice",
        "The Dice at the best threshold; optimistic, since the threshold was chosen on these images.",
    ),
    # Counts of each class.
    "pixels": _count("pixels", "Pixels of the class in the truth.", unit="pixels"),
    "predicted_pixels": _count("predicted", "Pixels predicted as the class.", unit="pixels"),
    "cases": _count(
        "cases", "Cases with the class in truth or prediction; its scores are about these.", unit="cases"
    ),
    "missed_cases": _count(
        "missed", "Cases in which the class is there and was not found at all.", unit="cases"
    ),
    "false_cases": _count("false", "Cases in which the class was found and is not there.", unit="cases"),
    "images": _count("images", "Images of the class.", unit="images"),
    "predicted_images": _count("predicted images", "Images predicted as the class.", unit="images"),
    "objects": _count("objects", "True objects, without crowds.", unit="objects"),
    "found_objects": _count("found objects", "Found objects, with any score.", unit="objects"),
    "words": _count("words", "True words, without illegible ones.", unit="words"),
    "found_words": _count("found words", "Found words, without those in illegible ones.", unit="words"),
    "true_positives": _count("true positives", "Matched segments.", unit="segments"),
    "false_positives": _count(
        "false positives", "Pixels or segments predicted as the class that are not.", unit="segments"
    ),
    "false_negatives": _count(
        "false negatives", "Pixels or segments of the class that were missed.", unit="segments"
    ),
}
"""Name in scores.json -> score, in display order; add new scores here."""

NOTES: dict[str, Score] = {
    "f1_by_iou": Score(
        "F1 by IoU", "Precision, recall and F1 from an IoU of 0.50 to one of 0.95, all classes pooled."
    ),
    "matched_iou": Score(
        "IoU of matched pairs",
        "Histogram of the IoU of pairs matched at an IoU of 0.5: how good their borders are.",
    ),
    "calibration": Score(
        "calibration",
        "Reliability diagram: for images of similar confidence, the mean confidence and the fraction that is "
        "right.",
    ),
    "intervals": Score(
        "intervals",
        "95 % bootstrap intervals: images are resampled 1000 times (AP: 200), and the middle 95 % of the "
        "resulting scores are between the ends. They show how much the score varies with other images of the "
        "same kind, but not with another training run or another kind of images.",
    ),
    "per_image": Score(
        "image by image",
        "Each image is scored separately; mean, median and 5th percentile over the images that have the "
        "score, to 0.0001. Small images count as much as large ones.",
    ),
    "absent": Score(
        "without a score",
        "A class in neither truth nor prediction (for AP: without a true object) has no score (null), and is "
        "excluded from means. Ignored pixels, pixels in no true segment, and predictions in a crowd count "
        "neither as correct nor as wrong. AP uses the 100 highest-scoring objects per image and class, "
        "the other scores use all.",
    ),
}
"""Other content of scores.json that needs an explanation."""


def shown(values: Mapping[str, Any], *, least: Shown = HEADLINE, first: Iterable[str] = ()) -> list[str]:
    """Return the names of the scores to show, in order: those of `first`, then as in `SCORES`.

    Args:
        values: Score name -> value; None and NaN count as no score. Other names are ignored.
        least: Minimum prominence; does not apply to those of `first`.
        first: The names to show first.
    """
    first = tuple(first)
    named = [*first, *(name for name, score in SCORES.items() if score.shown >= least)]
    return [name for name in dict.fromkeys(named) if _exists(values.get(name))]


def explained(names: Iterable[str], *, of_voxels: bool = False) -> dict[str, str]:
    """Return name -> definition for the names in the table, in its order.

    Args:
        names: Names of scores and notes; others are ignored.
        of_voxels: Whether the scores are those of volumes.
    """
    wanted = set(names)
    rows = {name: row for name, row in (SCORES | NOTES).items() if name in wanted}
    return {name: (row.of_voxels() if of_voxels else row).definition for name, row in rows.items()}


def _exists(value: object) -> bool:
    """Return whether a value is neither None nor NaN, the only value not equal to itself."""
    return value is not None and value == value  # noqa: PLR0124
