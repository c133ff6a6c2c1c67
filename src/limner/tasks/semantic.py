"""Semantic segmentation: every pixel has one class."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from limner.core.label_map import LabelMap
from limner.core.labels import LabelArray, LabelTable, background_among
from limner.core.picture import PLAIN, Image, Picture
from limner.core.plan import Decision, InferencePlan
from limner.core.prediction import SemanticPrediction
from limner.core.sample import Sample
from limner.decoding.largest_component import without_small_parts
from limner.drawing.colors import overlay
from limner.drawing.display import RGBImage, display_image
from limner.drawing.truth_and_prediction import comparison, slice_with_most_foreground
from limner.evaluation.error_maps import error_map
from limner.evaluation.scorer import USUAL, Extent
from limner.evaluation.semantic_scorer import SemanticScorer
from limner.formats.pre_annotations import Candidate
from limner.images.masks import mask_suffix, write_values
from limner.storage.whole_files import open_whole, write_whole
from limner.tasks.candidates import class_candidates
from limner.tasks.image_uncertainty import ENTROPY_OF_PIXELS, mean_entropy
from limner.tasks.object_networks import default_query_options
from limner.tasks.prediction_folder import MASKS, OVERLAYS, PROBABILITIES, PredictionFolder
from limner.tasks.prediction_json import classes_json
from limner.tasks.situation import Situation, on_machine, within_budget
from limner.tasks.size_table import SIZES, size_rows, table_text
from limner.tasks.task import Task
from limner.tasks.volume_picture import draw_volume
from limner.transforms.turn import Turn

if TYPE_CHECKING:
    from limner.core.outputs import OutputKind
    from limner.decoding.network_arrays import ArrayRuns
    from limner.decoding.network_runs import NetworkRuns
    from limner.decoding.probability_maps import Probabilities
    from limner.tasks.objective import Objective


class SemanticTask(Task):
    """Trained on label maps; networks with queries, on one segment per class of an image."""

    name = "semantic"
    title = "semantic segmentation"
    labels_of = "semantic"
    targets = (LabelMap,)
    has_label_maps = True
    has_candidates = True
    uncertainty_words = ENTROPY_OF_PIXELS
    array_kinds = ("DenseLogits", "QueryMasks")
    averages = True
    shown_scores = ("foreground_dice", "mean_dice", "mean_iou", "pixel_accuracy")

    @property
    def objectives(self) -> "Mapping[OutputKind, Objective]":
        """Logits of each pixel, or queries."""
        from limner.core.outputs import DenseLogits, QueryMasks
        from limner.tasks.dense_objective import DenseObjective
        from limner.tasks.set_objective import SetObjective

        return {DenseLogits: DenseObjective(), QueryMasks: SetObjective()}

    def default_network(self, situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
        """Choose the preset's network; its options apply only if the network is the preset's."""
        preset = self.preset(situation)
        where = on_machine(situation) + within_budget(situation)
        yield Decision("network.name", preset.network, f"{where}: {preset.why}")
        name = settled.get("network.name", preset.network)
        if name == preset.network:
            yield Decision("network.options", dict(preset.options), "the size from the same preset")
        else:
            yield from default_query_options(situation, name)

    def main_score(self, labels: LabelTable) -> str:
        """Return the pooled foreground Dice for one class on a background, else the mean IoU.

        The background cannot inflate the first; in the second, every class counts the same.
        """
        return self.shown_first(labels.names)[0]

    def shown_first(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Put foreground Dice first for one class on a background, as in medicine, else the mean IoU."""
        one_against_background = len(class_names) == 2 and background_among(class_names) is not None
        return ("foreground_dice" if one_against_background else "mean_iou", *self.shown_scores)

    def scorer(self, labels: LabelTable, extent: Extent = USUAL) -> SemanticScorer:
        """Return a scorer of label maps.

        Raises:
            ConfigError: Threshold scores are requested for more than two classes.
        """
        return SemanticScorer(
            labels,
            boundaries=extent.boundaries,
            thresholds=extent.thresholds,
            uncertainty=extent.uncertainty,
            cases=extent.cases,
            tolerance=extent.tolerance,
            case_of=extent.case_of,
        )

    def predict(
        self, runs: "NetworkRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> SemanticPrediction:
        """Return the most probable class of each pixel, over all windows and views, without small parts."""
        from limner.decoding.label_maps import predict_label_map

        found, mean = predict_label_map(runs, num_classes=labels.num_classes, probabilities=probabilities)
        return SemanticPrediction(name, without_small_parts(found, runs.settings, labels), mean)

    def predict_arrays(
        self, runs: "ArrayRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> SemanticPrediction:
        """Return the same as `predict`, computed with NumPy."""
        from limner.decoding.label_arrays import predict_label_array

        found, mean = predict_label_array(runs, num_classes=labels.num_classes, probabilities=probabilities)
        return SemanticPrediction(name, without_small_parts(found, runs.settings, labels), mean)

    def averaged(
        self,
        predictions: Iterator[SemanticPrediction],
        *,
        labels: LabelTable,
        settings: InferencePlan,
        probabilities: bool,
    ) -> SemanticPrediction:
        """Return the class with the highest mean probability at each pixel, without small parts."""
        from limner.decoding.averaged_maps import averaged_label_map

        names: list[str] = []

        def maps() -> "Iterator[Probabilities]":
            for one in predictions:
                assert one.probabilities is not None, "predictions to average have probabilities"
                names.append(one.name)
                yield one.probabilities

        found, mean = averaged_label_map(maps())
        found = without_small_parts(found, settings, labels)
        return SemanticPrediction(names[0], found, mean if probabilities else None)

    def turned_back(self, prediction: SemanticPrediction, turn: Turn) -> SemanticPrediction:
        """Turn label map and probabilities back."""
        mean = prediction.probabilities
        return SemanticPrediction(
            prediction.name,
            np.ascontiguousarray(turn.undo(prediction.semantic)),
            None if mean is None else np.moveaxis(turn.undo(np.moveaxis(mean, 0, -1)), -1, 0),
        )

    def error_map(
        self, prediction: SemanticPrediction, sample: Sample, table: LabelTable
    ) -> NDArray[np.uint8]:
        """Return a grey value for each right and wrong pixel, see `limner.evaluation.error_maps`."""
        truth = sample.get(LabelMap)
        assert truth is not None, "label maps are compared with label maps"
        return error_map(truth.labels, prediction.semantic, table)

    def writer(self, folder: PredictionFolder, labels: LabelTable) -> "SemanticWriter":
        """Return a writer of masks, overlays and probabilities."""
        return SemanticWriter(folder, labels)

    def to_json(
        self, prediction: SemanticPrediction, labels: LabelTable, *, polygons: bool = False
    ) -> dict[str, Any]:
        """Return the number of pixels and the mask of each class."""
        return {"classes": classes_json(prediction.semantic, labels)}

    def candidates(
        self, prediction: SemanticPrediction, labels: LabelTable, *, least_score: float | None = None
    ) -> Iterator[Candidate]:
        """Yield the connected parts of each class but the background; all of them by default."""
        for one in class_candidates(prediction, labels):
            if least_score is None or one.score is None or one.score >= least_score:
                yield one

    def uncertainty(self, prediction: SemanticPrediction, mirrored: None = None) -> float:
        """Return the mean entropy of the pixels' classes."""
        assert prediction.probabilities is not None, "probabilities are asked for"
        return mean_entropy(prediction.probabilities)

    def draw(
        self,
        image: Image,
        prediction: SemanticPrediction,
        table: LabelTable,
        *,
        truth: Sample | None = None,
        title: str = "",
    ) -> RGBImage:
        """Draw the image, true and predicted classes, and a map of correct and wrong pixels.

        Of volumes, three views and a montage of slices.
        """
        true = None if truth is None else truth.get(LabelMap)
        labels = None if true is None else true.labels
        if prediction.semantic.ndim == 3:
            geometry = PLAIN if truth is None else truth.geometry
            return draw_volume(image, prediction.semantic, labels, table, geometry, title=title)
        return comparison(image, prediction.semantic, table, truth=labels, title=title)


def _flat(image: Image, predicted: LabelArray, table: LabelTable) -> tuple[Image, LabelArray]:
    """Return image and prediction; of a volume, the slice with the most foreground."""
    if predicted.ndim == 2:
        return image, predicted
    middle = slice_with_most_foreground(predicted, table)
    return image[middle], predicted[middle]


class SemanticWriter:
    """Writes ``masks/NAME.png`` with the values of the training masks, and optionally other results."""

    def __init__(self, folder: PredictionFolder, labels: LabelTable) -> None:
        self._folder = folder
        self._labels = labels

    def files(self, output: str, image: Path) -> tuple[Path, ...]:
        """Return the files of an image, the mask first."""
        probabilities = [self._probabilities(output)] if self._folder.probabilities else []
        mask = self._folder.place(MASKS, f"{output}{mask_suffix(image)}")
        return (mask, *self._folder.files(output, []), *probabilities)

    def write(
        self, prediction: SemanticPrediction, picture: Picture, *, output: str, file_name: str
    ) -> dict[str, Any]:
        """Write the results of one image."""
        folder, labels = self._folder, self._labels
        values = labels.decode(prediction.semantic)
        image = Path(file_name)
        mask = folder.place(MASKS, f"{output}{mask_suffix(image)}")
        like = picture.files[0] if picture.files else None
        write_values(mask, values, labels.encoding, geometry=picture.geometry, like=like)
        if folder.overlay:
            array, shown = _flat(picture.array, prediction.semantic, labels)
            folder.write_picture(OVERLAYS, output, overlay(display_image(array), shown, labels))
        if folder.probabilities:
            assert prediction.probabilities is not None
            with open_whole(self._probabilities(output)) as file:
                np.save(file, prediction.probabilities.astype(np.float16, copy=False))
        if not folder.sizes:
            return {}
        return {"sizes": size_rows(output, prediction.semantic, labels, picture.geometry)}

    def finish(self, entries: Iterable[dict[str, Any]]) -> None:
        """Write the sizes of the classes, if requested; every image has its own files."""
        if self._folder.sizes:
            rows = (row for entry in entries for row in entry["sizes"])
            write_whole(self._folder.root / SIZES, table_text(rows))

    def _probabilities(self, output: str) -> Path:
        return self._folder.place(PROBABILITIES, f"{output}.npy")
