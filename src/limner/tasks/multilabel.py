"""Classification of images with any number of classes each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from limner.core.image_class import ClassShares
from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.prediction import TagPrediction
from limner.core.sample import Sample
from limner.drawing.class_bars import class_bars
from limner.drawing.display import RGBImage
from limner.evaluation.scorer import USUAL, WORST_AND_BEST, Extent
from limner.evaluation.tag_scorer import TagScorer
from limner.tasks.class_writer import TagWriter
from limner.tasks.image_task import MOST_EXPLAINED, ImageTask
from limner.tasks.image_uncertainty import ENTROPY_OF_IMAGE, mean_binary_entropy
from limner.tasks.prediction_folder import PredictionFolder
from limner.tasks.prediction_json import probabilities_json

if TYPE_CHECKING:
    from limner.core.outputs import OutputKind
    from limner.decoding.network_arrays import ArrayRuns
    from limner.decoding.network_runs import NetworkRuns
    from limner.tasks.objective import Objective


class MultilabelTask(ImageTask):
    """Trained on any number of classes per image."""

    name = "multilabel"
    title = "classification with several classes per image"
    labels_of = "multilabel"
    targets = (ClassShares,)
    picture_groups = WORST_AND_BEST
    uncertainty_words = ENTROPY_OF_IMAGE
    shown_scores = ("macro_average_precision", "macro_f1_score", "micro_f1_score", "subset_accuracy")

    @property
    def objectives(self) -> "Mapping[OutputKind, Objective]":
        """Logits of each class."""
        from limner.core.outputs import ClassLogits
        from limner.tasks.class_objective import TagObjective

        return {ClassLogits: TagObjective()}

    def main_score(self, labels: LabelTable) -> str:
        """Return the mean average precision, which needs no threshold."""
        return "macro_average_precision"

    def scorer(self, labels: LabelTable, extent: Extent = USUAL) -> TagScorer:
        """Return a scorer of classes.

        Raises:
            ConfigError: Boundary or threshold scores are requested, which are for label maps.
        """
        self.refuse_extent(extent)
        return TagScorer(labels, uncertainty=extent.uncertainty)

    def predict(
        self, runs: "NetworkRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> TagPrediction:
        """Return the probability of each class."""
        from limner.decoding.class_probabilities import predict_image_classes

        return TagPrediction(name, predict_image_classes(runs, exclusive=False))

    def predict_arrays(
        self, runs: "ArrayRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> TagPrediction:
        """Return the same as `predict`, computed with NumPy."""
        from limner.decoding.label_arrays import predict_class_array

        return TagPrediction(name, predict_class_array(runs, exclusive=False))

    def explained_first(self, prediction: TagPrediction) -> tuple[int, ...]:
        """Return the most probable classes."""
        return tuple((-prediction.probabilities).argsort(kind="stable")[:MOST_EXPLAINED].tolist())

    def writer(self, folder: PredictionFolder, labels: LabelTable) -> TagWriter:
        """Return a writer of a CSV, overlays, and images sorted into folders."""
        return TagWriter(folder, labels)

    def to_json(
        self, prediction: TagPrediction, labels: LabelTable, *, polygons: bool = False
    ) -> dict[str, Any]:
        """Return the probability of each class."""
        chances = prediction.probabilities
        return {"probabilities": probabilities_json(chances, labels, prediction.labels)}

    def uncertainty(self, prediction: TagPrediction, mirrored: None = None) -> float:
        """Return the entropy of the classes."""
        return mean_binary_entropy(prediction.probabilities)

    def draw(
        self,
        image: Image,
        prediction: TagPrediction,
        table: LabelTable,
        *,
        truth: Sample | None = None,
        title: str = "",
    ) -> RGBImage:
        """Draw the image beside the most probable classes; the true ones are marked."""
        true = None if truth is None else truth.get(ClassShares)
        marked = None if true is None else tuple(np.flatnonzero(true.shares).tolist())
        return class_bars(image, prediction.probabilities, table.names, truth=marked, title=title)
