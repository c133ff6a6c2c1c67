"""Panoptic segmentation: every pixel belongs to one object, or to one region of stuff."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from limner.core.labels import LabelTable
from limner.core.picture import Image, Picture
from limner.core.plan import Decision
from limner.core.prediction import PanopticPrediction
from limner.core.sample import Sample
from limner.core.segments import Segments
from limner.drawing.display import RGBImage, display_image
from limner.drawing.segment_colors import segment_comparison, segment_overlay
from limner.evaluation.panoptic_scorer import PanopticScorer
from limner.evaluation.scorer import USUAL, Extent
from limner.formats.coco.coco_writing import predicted_segments, write_coco
from limner.formats.pre_annotations import Candidate
from limner.images.masks import write_values
from limner.tasks.allowed import OBJECTS_BY_CENTRES, OBJECTS_ONLY_WHOLE
from limner.tasks.candidates import segment_candidates
from limner.tasks.image_uncertainty import DISAGREEMENT, differing_segments
from limner.tasks.object_networks import default_object_network
from limner.tasks.prediction_folder import MASKS, OVERLAYS, PANOPTIC, PredictionFolder
from limner.tasks.prediction_json import classes_json, segments_json
from limner.tasks.situation import Situation
from limner.tasks.task import Task

if TYPE_CHECKING:
    from limner.core.outputs import OutputKind
    from limner.decoding.network_arrays import ArrayRuns
    from limner.decoding.network_runs import NetworkRuns
    from limner.tasks.objective import Objective


class PanopticTask(Task):
    """Trained on objects and stuff; all stuff of a class in an image is one segment."""

    name = "panoptic"
    title = "panoptic segmentation"
    labels_of = "panoptic"
    targets = (Segments,)
    allowed = OBJECTS_ONLY_WHOLE
    allowed_by_kind = MappingProxyType({"CentreOffsets": OBJECTS_BY_CENTRES})
    array_kinds = ("CentreOffsets", "QueryMasks")
    has_stuff = True
    has_candidates = True
    uncertainty_words = DISAGREEMENT
    compares_views = True
    large_scale_jitter = True
    shown_scores = ("pq", "sq", "rq", "pq_things", "pq_stuff")

    @property
    def objectives(self) -> "Mapping[OutputKind, Objective]":
        """Centres and offsets of each pixel, or queries."""
        from limner.core.outputs import CentreOffsets, QueryMasks
        from limner.tasks.centre_objective import CentreObjective
        from limner.tasks.set_objective import SAMPLES_FOR_OBJECTS, SetObjective

        return {CentreOffsets: CentreObjective(), QueryMasks: SetObjective(SAMPLES_FOR_OBJECTS)}

    def default_network(self, situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
        """Choose a network of centres and offsets, which learns from scratch."""
        return default_object_network(situation, settled)

    def main_score(self, labels: LabelTable) -> str:
        """Return the PQ over all classes."""
        return "pq"

    def scorer(self, labels: LabelTable, extent: Extent = USUAL) -> PanopticScorer:
        """Return a scorer of segments.

        Raises:
            ConfigError: Boundary or threshold scores are requested, which are for label maps.
        """
        self.refuse_extent(extent)
        return PanopticScorer(labels, uncertainty=extent.uncertainty)

    def predict(
        self, runs: "NetworkRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> PanopticPrediction:
        """Return the segments of an image, each pixel in at most one."""
        from limner.core.outputs import CentreOffsets
        from limner.decoding.centre_offsets import find_centred_segments, mean_of_views
        from limner.decoding.query_masks import as_queries, find_segments

        things = labels.is_thing.tolist()
        if runs.kind is CentreOffsets:
            maps = mean_of_views(runs)
            return find_centred_segments(
                maps, runs.size, is_thing=things, name=name, seen_size=runs.seen_size
            )
        outputs, extent = runs.whole()
        found = find_segments(as_queries(outputs), extent, is_thing=things, name=name)
        return found.cropped_to(runs.size)

    def predict_arrays(
        self, runs: "ArrayRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> PanopticPrediction:
        """Return the same as `predict`, computed with NumPy."""
        from limner.decoding.centre_arrays import group_pixel_arrays, mean_map_array
        from limner.decoding.grouped_pixels import SURE_CENTRE, segments_of_groups
        from limner.decoding.query_arrays import find_segments_of_arrays

        things = labels.is_thing.tolist()
        if runs.kind == "CentreOffsets":
            grouped = group_pixel_arrays(
                mean_map_array(runs),
                runs.size,
                is_thing=things,
                seen_size=runs.seen_size,
                threshold=SURE_CENTRE,
            )
            return segments_of_groups(grouped, is_thing=things, name=name)
        outputs, extent = runs.whole()
        return find_segments_of_arrays(outputs, extent, is_thing=things, name=name).cropped_to(runs.size)

    def writer(self, folder: PredictionFolder, labels: LabelTable) -> "PanopticWriter":
        """Return a writer of COCO panoptic JSON and PNG, masks, and overlays."""
        return PanopticWriter(folder, labels)

    def to_json(
        self, prediction: PanopticPrediction, labels: LabelTable, *, polygons: bool = False
    ) -> dict[str, Any]:
        """Return the number of pixels of each class, and the segments."""
        classes = classes_json(prediction.semantic(nothing=labels.ignore_index), labels)
        return {"classes": classes, "objects": segments_json(prediction, labels, polygons=polygons)}

    def candidates(
        self, prediction: PanopticPrediction, labels: LabelTable, *, least_score: float | None = None
    ) -> Iterator[Candidate]:
        """Yield objects and regions of stuff with a score of `least_score`, by default all."""
        return segment_candidates(prediction, labels, least_score or 0.0)

    def uncertainty(
        self, prediction: PanopticPrediction, mirrored: PanopticPrediction | None = None
    ) -> float:
        """Return how much image and mirror image differ."""
        assert mirrored is not None, "the mirror image is predicted too"
        return differing_segments(prediction, mirrored)

    def draw(
        self,
        image: Image,
        prediction: PanopticPrediction,
        table: LabelTable,
        *,
        truth: Sample | None = None,
        title: str = "",
    ) -> RGBImage:
        """Draw the image, true and predicted segments, and which were found and missed."""
        true = None if truth is None else truth.get(Segments)
        return segment_comparison(image, prediction.segments(), table, truth=true, title=title)


class PanopticWriter:
    """Writes ``panoptic.json`` and PNG in COCO format, and a mask of the classes for each image."""

    def __init__(self, folder: PredictionFolder, labels: LabelTable) -> None:
        self._folder = folder
        self._labels = labels

    def files(self, output: str, image: Path) -> tuple[Path, ...]:
        """Return the files of an image, the mask of the classes first."""
        return self._folder.files(output, [MASKS, PANOPTIC])

    def write(
        self, prediction: PanopticPrediction, picture: Picture, *, output: str, file_name: str
    ) -> dict[str, Any]:
        """Write the results of one image, and return its segments."""
        folder, labels = self._folder, self._labels
        png = folder.place(PANOPTIC, f"{output}.png")
        found = predicted_segments(prediction, labels, file_name=file_name, png=png)
        mask = folder.place(MASKS, f"{output}.png")
        values = labels.decode(prediction.semantic(nothing=labels.ignore_index))
        write_values(mask, values, labels.encoding, geometry=picture.geometry)
        if folder.overlay:
            drawn = segment_overlay(display_image(picture.array), prediction.segments(), labels)
            folder.write_picture(OVERLAYS, output, drawn)
        return found

    def finish(self, entries: Iterable[dict[str, Any]]) -> Path:
        """Write the segments of all images."""
        path = self._folder.root / f"{PANOPTIC}.json"
        write_coco(path, entries, self._labels)
        return path
