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
    "absent": (
        "A class in neither truth nor prediction has no score (null), and no mean counts it; pixels "
        "labelled as ignored are counted nowhere."
    ),
}
"""Score name -> what it means; JSON and reports carry it beside the number."""
