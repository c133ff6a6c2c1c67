"""What each score means, and when it misleads: written beside the numbers, so nobody has to guess."""

SEMANTIC: dict[str, str] = {
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

_MATCHES = {
    "count_error": (
        "How many objects too many or too few are found in an image, on average; errors of several classes "
        "are added up. A number of objects, not a part; a right count may hold wrong objects."
    ),
    "count_bias": "The same with its sign: above 0 where too many are found, below where too few.",
    "f1_by_iou": "Precision, recall and F1 from an IoU of 0.50 to one of 0.95, all classes pooled.",
    "matched_iou": "Of the pairs matched at an IoU of 0.5, how many have which IoU: how good borders are.",
    "intervals": (
        "95 % bootstrap intervals: images are drawn again, 1000 times (AP: 200), and of the scores that come "
        "out the middle 95 % lie between the ends. They tell how far other images of the same kind may move "
        "the score; not what another training or another kind of images would give."
    ),
    "per_image": (
        "Each image scored alone, then the mean, the median and the 5th percentile over the images that have "
        "the score, to a ten-thousandth; a small image counts as much as a large one."
    ),
}

_AP = (
    "Average precision of {what} as COCO defines it: the precision averaged over 101 values of the recall, "
    "over the classes, and over IoU thresholds of 0.50, 0.55, ..., 0.95; {more}."
)
_SMALL = "AP of {what} of objects {size} pixels; what it is for others does not show."
INSTANCE: dict[str, str] = {
    "ap": _AP.format(
        what="the masks", more="borders that are a little off cost much, above all on small objects"
    ),
    "ap50": (
        "AP of the masks at an IoU of 0.5 alone: was the object found at all; says little about its border."
    ),
    "ap75": "AP of the masks at an IoU of 0.75 alone: was the object outlined well.",
    "ap_small": _SMALL.format(what="the masks", size="below 32 x 32"),
    "ap_medium": _SMALL.format(what="the masks", size="from 32 x 32 up to 96 x 96"),
    "ap_large": _SMALL.format(what="the masks", size="above 96 x 96"),
    "box_ap": _AP.format(
        what="the boxes around the masks", more="a good box says little about the mask inside"
    ),
    "box_ap50": "AP of the boxes at an IoU of 0.5 alone.",
    "box_ap75": "AP of the boxes at an IoU of 0.75 alone.",
    "box_ap_small": _SMALL.format(what="the boxes", size="below 32 x 32"),
    "box_ap_medium": _SMALL.format(what="the boxes", size="from 32 x 32 up to 96 x 96"),
    "box_ap_large": _SMALL.format(what="the boxes", size="above 96 x 96"),
    "f1": (
        "Twice the matched objects over true plus found ones, of those found with a score of 0.5 or more and "
        "matched at an IoU of 0.5; AP also looks at the less certain ones."
    ),
    "f1_75": "The same F1 at an IoU of 0.75: found and outlined well.",
    "precision": "Part of the objects found with a score of 0.5 or more that are true, at an IoU of 0.5.",
    "recall": "Part of the true objects that are found with a score of 0.5 or more, at an IoU of 0.5.",
    **_MATCHES,
    "absent": (
        "A class without a true object has no score (null), and no mean counts it; of each image and class "
        "the 100 surest objects count, and what is found in a crowd is neither right nor wrong."
    ),
}

_GROUPS = {"": "all classes", "_things": "the countable classes", "_stuff": "the classes of stuff"}
_QUALITY = {
    "pq": "Panoptic quality, SQ times RQ, averaged over {group}; segments count alike, whatever their size.",
    "sq": (
        "Segmentation quality: the mean IoU of the matched segments (IoU above 0.5), averaged over {group}; "
        "what was missed does not lower it."
    ),
    "rq": (
        "Recognition quality: the F1 score of the segments, matched at an IoU above 0.5, averaged over "
        "{group}; says nothing about borders."
    ),
}
PANOPTIC: dict[str, str] = {
    f"{name}{suffix}": text.format(group=group)
    for suffix, group in _GROUPS.items()
    for name, text in _QUALITY.items()
} | {
    "f1_75": "The F1 score of the segments, all classes pooled, matched at an IoU of 0.75.",
    **_MATCHES,
    "absent": (
        "A class in neither truth nor prediction has no score (null), and no mean counts it; pixels in no "
        "true segment are void, and what is predicted there or on a crowd of its class is not wrong."
    ),
}

DEFINITIONS: dict[str, dict[str, str]] = {"semantic": SEMANTIC, "instance": INSTANCE, "panoptic": PANOPTIC}
"""Task -> score name -> what it means; JSON and reports carry it beside the number."""
