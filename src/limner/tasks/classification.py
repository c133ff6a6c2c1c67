"""Classification: every image has one class."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from limner.core.image_class import ImageClass
from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.prediction import ClassPrediction
from limner.core.sample import Sample
from limner.drawing.class_bars import class_bars
from limner.drawing.display import RGBImage
from limner.evaluation.class_scorer import ClassScorer
from limner.evaluation.scorer import USUAL, Extent
from limner.tasks.class_writer import ClassWriter
from limner.tasks.image_task import MOST_EXPLAINED, ImageTask
from limner.tasks.image_uncertainty import ENTROPY_OF_IMAGE, mean_entropy
from limner.tasks.prediction_folder import PredictionFolder
from limner.tasks.prediction_json import probabilities_json

if TYPE_CHECKING:
    from limner.core.outputs import OutputKind
    from limner.decoding.network_arrays import ArrayRuns
    from limner.decoding.network_runs import NetworkRuns
    from limner.tasks.objective import Objective


class ClassificationTask(ImageTask):
    """Trained on one class per image."""

    name = "classification"
    title = "classification"
    labels_of = "classification"
    targets = (ImageClass,)
    uncertainty_words = ENTROPY_OF_IMAGE
    shown_scores = ("accuracy", "top5_accuracy", "balanced_accuracy", "macro_f1_score")

    @property
    def objectives(self) -> "Mapping[OutputKind, Objective]":
        """Logits of each class."""
        from limner.core.outputs import ClassLogits
        from limner.tasks.class_objective import ClassObjective

        return {ClassLogits: ClassObjective()}

    def main_score(self, labels: LabelTable) -> str:
        """Return the accuracy."""
        return "accuracy"

    def scorer(self, labels: LabelTable, extent: Extent = USUAL) -> ClassScorer:
        """Return a scorer of classes.

        Raises:
            ConfigError: Boundary or threshold scores are requested, which are for label maps.
        """
        self.refuse_extent(extent)
        return ClassScorer(labels, uncertainty=extent.uncertainty)

    def predict(
        self, runs: "NetworkRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> ClassPrediction:
        """Return the probability of each class."""
        from limner.decoding.class_probabilities import predict_image_classes

        return ClassPrediction(name, predict_image_classes(runs, exclusive=True))

    def predict_arrays(
        self, runs: "ArrayRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> ClassPrediction:
        """Return the same as `predict`, computed with NumPy."""
        from limner.decoding.label_arrays import predict_class_array

        return ClassPrediction(name, predict_class_array(runs, exclusive=True))

    def explained_first(self, prediction: ClassPrediction) -> tuple[int, ...]:
        """Return the most probable classes."""
        return tuple((-prediction.probabilities).argsort(kind="stable")[:MOST_EXPLAINED].tolist())

    def writer(self, folder: PredictionFolder, labels: LabelTable) -> ClassWriter:
        """Return a writer of a CSV, overlays, and images sorted into folders."""
        return ClassWriter(folder, labels)

    def to_json(
        self, prediction: ClassPrediction, labels: LabelTable, *, polygons: bool = False
    ) -> dict[str, Any]:
        """Return the probability of each class."""
        chances = prediction.probabilities
        return {"probabilities": probabilities_json(chances, labels, [prediction.label])}

    def uncertainty(self, prediction: ClassPrediction, mirrored: None = None) -> float:
        """Return the entropy of the classes."""
        return mean_entropy(prediction.probabilities)

    def draw(
        self,
        image: Image,
        prediction: ClassPrediction,
        table: LabelTable,
        *,
        truth: Sample | None = None,
        title: str = "",
    ) -> RGBImage:
        """Draw the image beside the most probable classes; the true one is marked."""
        true = None if truth is None else truth.get(ImageClass)
        marked = None if true is None else (true.label,)
        return class_bars(image, prediction.probabilities, table.names, truth=marked, title=title)
