"""Instance segmentation: a mask for every countable object; masks may overlap."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from limner.core.labels import LabelTable
from limner.core.picture import Image, Picture
from limner.core.plan import Decision
from limner.core.prediction import SCORE_THRESHOLD, SegmentPrediction
from limner.core.sample import Sample
from limner.core.segments import Segments
from limner.drawing.display import RGBImage, display_image
from limner.drawing.segment_colors import segment_comparison, segment_overlay
from limner.evaluation.instance_scorer import InstanceScorer
from limner.evaluation.scorer import USUAL, Extent
from limner.formats.coco.coco_writing import predicted_objects, write_coco
from limner.formats.pre_annotations import Candidate
from limner.images.masks import write_values
from limner.tasks.allowed import OBJECTS_BY_CENTRES, OBJECTS_IN_WINDOWS
from limner.tasks.candidates import object_candidates
from limner.tasks.image_uncertainty import DISAGREEMENT, differing_masks
from limner.tasks.object_networks import default_object_network
from limner.tasks.prediction_folder import INSTANCES, OVERLAYS, PredictionFolder
from limner.tasks.prediction_json import objects_json
from limner.tasks.situation import Situation
from limner.tasks.task import Task

if TYPE_CHECKING:
    from limner.core.outputs import OutputKind, Outputs
    from limner.decoding.network_arrays import ArrayRuns
    from limner.decoding.network_runs import NetworkRuns
    from limner.tasks.objective import Objective


class InstanceTask(Task):
    """Trained on the objects of countable classes only, without crowds."""

    name = "instance"
    title = "instance segmentation"
    labels_of = "instance"
    targets = (Segments,)
    allowed = OBJECTS_IN_WINDOWS
    allowed_by_kind = MappingProxyType({"CentreOffsets": OBJECTS_BY_CENTRES})
    array_kinds = ("CentreOffsets", "QueryMasks")
    large_scale_jitter = True
    has_candidates = True
    uncertainty_words = DISAGREEMENT
    compares_views = True
    shown_scores = ("ap", "ap50", "ap75", "box_ap")

    @property
    def objectives(self) -> "Mapping[OutputKind, Objective]":
        """Centres and offsets of each pixel, or queries."""
        from limner.core.outputs import CentreOffsets, QueryMasks
        from limner.tasks.centre_objective import CentreObjective
        from limner.tasks.set_objective import SAMPLES_FOR_OBJECTS, SetObjective

        return {CentreOffsets: CentreObjective(), QueryMasks: SetObjective(SAMPLES_FOR_OBJECTS)}

    def labels(self, table: LabelTable) -> LabelTable:
        """Return the countable classes only.

        Raises:
            ConfigError: No class is countable.
        """
        return table.things()

    def default_network(self, situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
        """Choose a network of centres and offsets, which learns from scratch."""
        return default_object_network(situation, settled)

    def main_score(self, labels: LabelTable) -> str:
        """Return the AP of masks."""
        return "ap"

    def scorer(self, labels: LabelTable, extent: Extent = USUAL) -> InstanceScorer:
        """Return a scorer of objects.

        Raises:
            ConfigError: Boundary or threshold scores are requested, which are for label maps.
        """
        self.refuse_extent(extent)
        return InstanceScorer(labels, uncertainty=extent.uncertainty)

    def predict(
        self, runs: "NetworkRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> SegmentPrediction:
        """Return the objects of an image, highest score first."""
        from limner.core.outputs import CentreOffsets
        from limner.decoding.centre_offsets import find_centred_objects, mean_of_views
        from limner.decoding.objects_in_windows import find_objects_in_windows
        from limner.decoding.query_masks import as_queries, find_objects

        def find(outputs: "Outputs", size: Sequence[int]) -> SegmentPrediction:
            return find_objects(as_queries(outputs), size, name=name)

        if runs.kind is CentreOffsets:
            things = labels.is_thing.tolist()
            maps = mean_of_views(runs)
            return find_centred_objects(maps, runs.size, is_thing=things, name=name, seen_size=runs.seen_size)
        if runs.is_windowed:
            return find_objects_in_windows(
                runs.tiles(), find, size=runs.size, seen_size=runs.seen_size, name=name
            )
        return find(*runs.whole()).cropped_to(runs.size)

    def predict_arrays(
        self, runs: "ArrayRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> SegmentPrediction:
        """Return the same as `predict`, computed with NumPy."""
        from limner.decoding.centre_arrays import group_pixel_arrays, mean_map_array
        from limner.decoding.grouped_pixels import objects_of_groups
        from limner.decoding.objects_in_windows import find_objects_in_windows
        from limner.decoding.query_arrays import find_objects_of_arrays

        if runs.kind == "CentreOffsets":
            things, maps = labels.is_thing.tolist(), mean_map_array(runs)
            grouped = group_pixel_arrays(maps, runs.size, is_thing=things, seen_size=runs.seen_size)
            return objects_of_groups(grouped, name=name)
        if runs.is_windowed:
            return find_objects_in_windows(
                runs.tiles(), find_objects_of_arrays, size=runs.size, seen_size=runs.seen_size, name=name
            )
        outputs, extent = runs.whole()
        return find_objects_of_arrays(outputs, extent, name=name).cropped_to(runs.size)

    def writer(self, folder: PredictionFolder, labels: LabelTable) -> "InstanceWriter":
        """Return a writer of COCO JSON, maps of object numbers, and overlays."""
        return InstanceWriter(folder, labels)

    def to_json(
        self, prediction: SegmentPrediction, labels: LabelTable, *, polygons: bool = False
    ) -> dict[str, Any]:
        """Return the objects."""
        return {"objects": objects_json(prediction, labels, polygons=polygons)}

    def candidates(
        self, prediction: SegmentPrediction, labels: LabelTable, *, least_score: float | None = None
    ) -> Iterator[Candidate]:
        """Yield the objects with a score of `least_score`, by default 0.5."""
        return object_candidates(prediction, SCORE_THRESHOLD if least_score is None else least_score)

    def uncertainty(self, prediction: SegmentPrediction, mirrored: SegmentPrediction | None = None) -> float:
        """Return how much image and mirror image differ."""
        assert mirrored is not None, "the mirror image is predicted too"
        return differing_masks(prediction, mirrored)

    def draw(
        self,
        image: Image,
        prediction: SegmentPrediction,
        table: LabelTable,
        *,
        truth: Sample | None = None,
        title: str = "",
    ) -> RGBImage:
        """Draw the image, true objects, objects with a score of 0.5 or more, and missed ones."""
        true = None if truth is None else truth.get(Segments)
        return segment_comparison(image, prediction.segments(SCORE_THRESHOLD), table, truth=true, title=title)


class InstanceWriter:
    """Writes ``instances.json`` in COCO format, and per image a map of objects above the score threshold."""

    def __init__(self, folder: PredictionFolder, labels: LabelTable) -> None:
        self._folder = folder
        self._labels = labels

    def files(self, output: str, image: Path) -> tuple[Path, ...]:
        """Return the files of an image, the map of object numbers first."""
        return self._folder.files(output, [INSTANCES])

    def write(
        self, prediction: SegmentPrediction, picture: Picture, *, output: str, file_name: str
    ) -> dict[str, Any]:
        """Write the results of one image, and return its objects."""
        folder, shown = self._folder, prediction.segments(SCORE_THRESHOLD)
        numbers = folder.place(INSTANCES, f"{output}.png")
        write_values(numbers, shown.flat(), geometry=picture.geometry)
        if folder.overlay:
            drawn = segment_overlay(display_image(picture.array), shown, self._labels)
            folder.write_picture(OVERLAYS, output, drawn)
        return predicted_objects(prediction, self._labels, file_name=file_name)

    def finish(self, entries: Iterable[dict[str, Any]]) -> Path:
        """Write the objects of all images."""
        path = self._folder.root / f"{INSTANCES}.json"
        write_coco(path, entries, self._labels)
        return path
