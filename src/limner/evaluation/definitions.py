"""What each score means, and when it misleads: written beside the numbers, so nobody has to guess."""

DEFINITIONS: dict[str, str] = {
    "iou": (
        "Of all pixels that are the class in truth or prediction, the part that is so in both (Jaccard "
        "index), over all images at once; for small or thin objects one pixel of border costs much."
    ),
    "dice": (
        "Twice the pixels right over the pixels of the class in truth plus in prediction, over all images "
        "at once (F1); never below the IoU, so compare like with like."
    ),
    "precision": (
        "Of the pixels predicted as the class, the part that is right; a model that predicts little can "
        "have a high one."
    ),
    "recall": (
        "Of the pixels of the class in the truth, the part that was found; a model that predicts the "
        "class everywhere has 1."
    ),
    "mean_iou": (
        "The IoU averaged over the classes, background included, that occur in truth or prediction; every "
        "class counts the same, however rare."
    ),
    "mean_dice": (
        "The Dice averaged over the classes, background included, that occur in truth or prediction; an "
        "easy background lifts it."
    ),
    "foreground_dice": (
        "Dice of all classes but `background`, their pixels pooled over all images; large objects weigh "
        "more than small ones. Per image it is empty where truth and prediction hold background only."
    ),
    "pixel_accuracy": (
        "The part of all pixels that is right; misleads where one class fills the images, since "
        "predicting nothing else already scores high."
    ),
    "frequency_weighted_iou": (
        "The IoU averaged over the classes, each weighted by its part of the true pixels; rare classes "
        "hardly count."
    ),
    "boundary_iou": (
        "The IoU of two bands: the pixels of the class within 2 % of the image's diagonal of its border, in "
        "truth and in prediction (Cheng et al., 2021); of large objects it sees what the IoU hardly does, of "
        "small ones it is nearly the IoU."
    ),
    "boundary_f1": (
        "The harmonic mean of two parts: of the predicted outline what lies within 0.75 % of the diagonal of "
        "the true outline, and the other way round; an outline that is a little off everywhere still "
        "scores 1."
    ),
    "mean_boundary_iou": "The boundary IoU averaged over the classes that have a boundary anywhere.",
    "mean_boundary_f1": "The boundary F1 averaged over the classes that have an outline anywhere.",
    "intervals": (
        "95 % bootstrap intervals: images are drawn again a thousand times, and of the scores that come out "
        "the middle 95 % lie between the ends. They tell how far other images of the same kind may move the "
        "score; not what another training or another kind of images would give."
    ),
    "per_image": (
        "Each image scored alone, then the mean, the median and the 5th percentile over the images that have "
        "the score, to a ten-thousandth; a small image counts as much as a large one."
    ),
    "average_precision": (
        "Area under the precision-recall curve over the pixels, in steps; without skill it is the part of "
        "the pixels that is the class."
    ),
    "area_under_roc": (
        "Area under the ROC curve over the pixels; without skill 0.5. Misleads where the class is rare, "
        "since the many easy other pixels lift it."
    ),
    "calibration_error": (
        "Expected calibration error of the class's probability: over 15 bins of equal width, how far the "
        "mean probability is from the part of the pixels that is the class, weighted by pixels."
    ),
    "best_threshold": (
        "The probability from which on to predict the class so that the Dice is highest on these very "
        "images; choose it on validation images, never on the test images it is reported for."
    ),
    "best_dice": "The Dice at the best threshold: an optimistic number, since these images chose it.",
    "absent": (
        "A class in neither truth nor prediction has no score (null), and no mean counts it; pixels "
        "labelled as ignored are counted nowhere."
    ),
}
"""Score name -> what it means; JSON and reports carry it beside the number."""
