"""Object detection: a box for every countable object."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.core.boxes import Boxes
from limner.core.labels import LabelTable
from limner.core.picture import Image, Picture
from limner.core.plan import Decision
from limner.core.prediction import SCORE_THRESHOLD, BoxPrediction
from limner.core.sample import Sample
from limner.drawing.box_comparison import box_comparison, box_overlay
from limner.drawing.display import RGBImage, display_image
from limner.evaluation.detection_scorer import DetectionScorer
from limner.evaluation.scorer import USUAL, Extent
from limner.formats.coco.coco_writing import predicted_boxes, write_coco
from limner.formats.pre_annotations import Candidate
from limner.formats.predicted_boxes import BOX_FILES
from limner.formats.source import BOX_TASK
from limner.storage.whole_files import write_whole
from limner.tasks.allowed import OBJECTS_IN_WINDOWS
from limner.tasks.box_networks import default_box_network
from limner.tasks.candidates import box_candidates
from limner.tasks.image_uncertainty import DISAGREEMENT, differing_boxes
from limner.tasks.prediction_folder import BOXES, OVERLAYS, PredictionFolder
from limner.tasks.prediction_json import boxes_json
from limner.tasks.situation import Situation
from limner.tasks.task import Task

if TYPE_CHECKING:
    from limner.core.outputs import OutputKind
    from limner.decoding.network_arrays import ArrayRuns
    from limner.decoding.network_runs import NetworkRuns
    from limner.tasks.objective import Objective


class DetectionTask(Task):
    """Trained on the boxes of countable classes; crowds and difficult objects are ignored."""

    name = BOX_TASK
    title = "object detection"
    labels_of = BOX_TASK
    targets = (Boxes,)
    allowed = OBJECTS_IN_WINDOWS
    array_kinds = ("PointBoxes", "QueryBoxes")
    large_scale_jitter = True
    has_candidates = True
    uncertainty_words = DISAGREEMENT
    compares_views = True
    prediction_formats = tuple(BOX_FILES)
    shown_scores = ("box_ap", "box_ap50", "box_ap75", "f1")

    @property
    def objectives(self) -> "Mapping[OutputKind, Objective]":
        """Boxes at points, or of queries."""
        from limner.core.outputs import PointBoxes, QueryBoxes
        from limner.tasks.box_objective import BoxObjective
        from limner.tasks.query_box_objective import QueryBoxObjective

        return {PointBoxes: BoxObjective(), QueryBoxes: QueryBoxObjective()}

    def labels(self, table: LabelTable) -> LabelTable:
        """Return the countable classes only.

        Raises:
            ConfigError: No class is countable.
        """
        return table.things()

    def default_network(self, situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
        """Choose a network of boxes at points, which learns from scratch."""
        return default_box_network(situation, settled)

    def main_score(self, labels: LabelTable) -> str:
        """Return the AP of boxes."""
        return "box_ap"

    def scorer(self, labels: LabelTable, extent: Extent = USUAL) -> DetectionScorer:
        """Return a scorer of boxes.

        Raises:
            ConfigError: Boundary or threshold scores are requested, which are for label maps.
        """
        self.refuse_extent(extent)
        return DetectionScorer(labels, uncertainty=extent.uncertainty)

    def predict(
        self, runs: "NetworkRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> BoxPrediction:
        """Return the boxes of an image, highest score first."""
        from limner.decoding.box_decoding import find_boxes
        from limner.decoding.network_runs import array_tiles

        kind, tiles = runs.kind.__name__, array_tiles(runs)
        return find_boxes(tiles, kind=kind, size=runs.size, seen_size=runs.seen_size, name=name)

    def predict_arrays(
        self, runs: "ArrayRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> BoxPrediction:
        """Return the same as `predict`."""
        from limner.decoding.box_decoding import find_boxes

        tiles = runs.tiles()
        return find_boxes(tiles, kind=runs.kind, size=runs.size, seen_size=runs.seen_size, name=name)

    def writer(self, folder: PredictionFolder, labels: LabelTable) -> "BoxWriter":
        """Return a writer of COCO JSON, of one file per image in other formats, and of overlays."""
        return BoxWriter(folder, labels)

    def to_json(
        self, prediction: BoxPrediction, labels: LabelTable, *, polygons: bool = False
    ) -> dict[str, Any]:
        """Return the boxes."""
        return {"objects": boxes_json(prediction, labels)}

    def candidates(
        self, prediction: BoxPrediction, labels: LabelTable, *, least_score: float | None = None
    ) -> Iterator[Candidate]:
        """Yield the boxes with a score of `least_score`, by default 0.5."""
        return box_candidates(prediction, SCORE_THRESHOLD if least_score is None else least_score)

    def uncertainty(self, prediction: BoxPrediction, mirrored: BoxPrediction | None = None) -> float:
        """Return how much image and mirror image differ."""
        assert mirrored is not None, "the mirror image is predicted too"
        return differing_boxes(prediction, mirrored)

    def draw(
        self,
        image: Image,
        prediction: BoxPrediction,
        table: LabelTable,
        *,
        truth: Sample | None = None,
        title: str = "",
    ) -> RGBImage:
        """Draw the image, true boxes, boxes with a score of 0.5 or more, and missed ones."""
        true = None if truth is None else truth.get(Boxes)
        return box_comparison(image, prediction.boxes(SCORE_THRESHOLD), table, truth=true, title=title)


class BoxWriter:
    """Writes ``boxes.json`` in COCO format, and for each image its boxes as text and drawn on it.

    ``labels/NAME.txt`` is in YOLO's format with scores; the formats of `PredictionFolder.formats` are added.
    """

    def __init__(self, folder: PredictionFolder, labels: LabelTable) -> None:
        self._folder = folder
        self._labels = labels
        self._kinds = [BOX_FILES[name] for name in dict.fromkeys(("yolo", *folder.formats))]

    def files(self, output: str, image: Path) -> tuple[Path, ...]:
        """Return the files of an image, the text file first."""
        boxes = (self._folder.place(kind.folder, f"{output}{kind.suffix}") for kind in self._kinds)
        return (*boxes, *self._folder.files(output, []))

    def write(
        self, prediction: BoxPrediction, picture: Picture, *, output: str, file_name: str
    ) -> dict[str, Any]:
        """Write the results of one image, and return its boxes."""
        for kind in self._kinds:
            content = kind.content(prediction, self._labels, file_name)
            write_whole(self._folder.place(kind.folder, f"{output}{kind.suffix}"), content)
        if self._folder.overlay:
            boxes = prediction.boxes(SCORE_THRESHOLD)
            scores = prediction.scores[: len(boxes)].tolist()
            drawn = box_overlay(display_image(picture.array), boxes, self._labels, scores=scores)
            self._folder.write_picture(OVERLAYS, output, drawn)
        return predicted_boxes(prediction, self._labels, file_name=file_name)

    def finish(self, entries: Iterable[dict[str, Any]]) -> Path:
        """Write the boxes of all images."""
        path = self._folder.root / f"{BOXES}.json"
        write_coco(path, entries, self._labels)
        return path
