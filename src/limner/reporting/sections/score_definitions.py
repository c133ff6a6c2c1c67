"""What each score means, at the foot of the page."""

from limner.reporting.markup import Html, prose, tag
from limner.reporting.run_facts import OVERALL_NAMES, RunFacts

STANDARD = {
    "iou": "Intersection over union: pixels that are the class and predicted as it, over those "
    "that are either.",
    "dice": "Twice the pixels that are the class and predicted as it, over the pixels of the class plus "
    "those predicted as it. Dice = 2 IoU / (1 + IoU).",
    "precision": "Of the pixels predicted as the class, the part that is it.",
    "recall": "Of the pixels of the class, the part that is predicted as it.",
    "foreground_dice": "Dice over all pixels of the split that are not background, pooled.",
    "mean_iou": "Mean of the IoU of the classes; a rare class counts as much as a frequent one.",
    "mean_dice": "Mean of the Dice of the classes.",
    "pixel_accuracy": "Part of the pixels that are right; easily high where one class fills the image.",
    "frequency_weighted_iou": "Mean of the IoU of the classes, weighted by their pixels.",
}
"""Used where the evaluation wrote no definition of its own."""

NAMES = {"iou": "IoU", "dice": "Dice", "precision": "Precision", "recall": "Recall"} | OVERALL_NAMES
NAMES |= {
    "boundary_iou": "Boundary IoU",
    "boundary_f1": "Boundary F1",
    "intervals": "Intervals",
    "per_image": "Image by image",
    "average_precision": "Average precision",
    "area_under_roc": "Area under ROC",
    "calibration_error": "Calibration error",
    "best_threshold": "Best threshold",
    "best_dice": "Best Dice",
    "absent": "Without a score",
    "f1_by_iou": "F1 by IoU",
    "matched_iou": "IoU of matched pairs",
    "count_error": "Error of the count",
    "count_bias": "Bias of the count",
    "ap_small": "Mask AP, small",
    "ap_medium": "Mask AP, medium",
    "ap_large": "Mask AP, large",
    "box_ap50": "Box AP50",
    "box_ap75": "Box AP75",
    "box_ap_small": "Box AP, small",
    "box_ap_medium": "Box AP, medium",
    "box_ap_large": "Box AP, large",
    "sq_things": "SQ of things",
    "rq_things": "RQ of things",
    "sq_stuff": "SQ of stuff",
    "rq_stuff": "RQ of stuff",
}


def definitions(facts: RunFacts) -> Html:
    """Return a list of score names and meanings."""
    evaluation = facts.evaluation
    written = evaluation.definitions if evaluation else {}
    meanings = written if evaluation and evaluation.is_of_segments else STANDARD | written
    unmeasured = _unmeasured(facts)
    rows = [
        (tag("dt", NAMES.get(name, name)), tag("dd", prose(text)))
        for name, text in meanings.items()
        if not name.startswith(unmeasured)
    ]
    return tag("dl", rows, class_="facts")


def _unmeasured(facts: RunFacts) -> tuple[str, ...]:
    """Return the beginnings of the names of scores of label maps that are measured only when asked for."""
    evaluation = facts.evaluation
    if evaluation is None or evaluation.is_of_segments:
        return ()
    without: tuple[str, ...] = ()
    if all(row.boundary_iou is None for e in facts.evaluations for row in e.classes):
        without += ("boundary_", "mean_boundary_")
    if all(e.thresholds is None for e in facts.evaluations):
        without += ("average_precision", "area_under_roc", "calibration_error", "best_")
    return without
