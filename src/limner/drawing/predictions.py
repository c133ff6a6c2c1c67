"""The picture of one image, its truth and its prediction, whatever the task."""

from limner.core.label_map import LabelMap
from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.prediction import SURE, AnyPrediction, Prediction, SegmentPrediction
from limner.core.sample import Sample
from limner.core.segments import Segments
from limner.drawing.display import RGBImage
from limner.drawing.segment_colors import segment_comparison
from limner.drawing.truth_and_prediction import comparison, telling_slice


def compare_prediction(
    image: Image,
    prediction: AnyPrediction,
    table: LabelTable,
    *,
    truth: Sample | None = None,
    title: str = "",
) -> RGBImage:
    """Draw image, truth, prediction, and what of it is right, side by side.

    Args:
        image: (*spatial, C) of any number type; of a volume the slice that tells most is drawn.
        prediction: Of that image; of objects, those of a score of 0.5 or more are drawn.
        table: The classes.
        truth: The targets of the prediction's task; None draws image and prediction only.
        title: A line above.
    """
    if not isinstance(prediction, Prediction):
        if isinstance(prediction, SegmentPrediction):
            shown = prediction.segments(SURE)
        else:
            shown = prediction.segments()
        true = None if truth is None else truth.get(Segments)
        return segment_comparison(image, shown, table, truth=true, title=title)
    label_map, predicted = None if truth is None else truth.get(LabelMap), prediction.semantic
    labels = None if label_map is None else label_map.labels
    if predicted.ndim == 3:
        middle = telling_slice(predicted if labels is None else labels, table)
        image, predicted = image[middle], predicted[middle]
        labels = None if labels is None else labels[middle]
    return comparison(image, predicted, table, truth=labels, title=title)
