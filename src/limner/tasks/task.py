"""Interface of tasks: targets, training, decoding, scoring, writing and drawing."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from limner.core.errors import ConfigError, describe
from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.plan import Decision, InferencePlan, LossPlan, Plan
from limner.core.prediction import Prediction
from limner.core.sample import Sample
from limner.core.targets import Target
from limner.drawing.display import RGBImage
from limner.evaluation.scorer import USUAL, WORST_AND_BEST, Extent, PictureGroup, Scorer
from limner.tasks.allowed import Allowed
from limner.tasks.prediction_folder import PredictionFolder, PredictionWriter
from limner.tasks.presets import Preset, find_preset
from limner.tasks.situation import Situation
from limner.transforms.turn import Turn

if TYPE_CHECKING:
    from limner.core.outputs import OutputKind
    from limner.decoding.network_arrays import ArrayRuns
    from limner.decoding.network_runs import NetworkRuns
    from limner.formats.pre_annotations import Candidate
    from limner.tasks.objective import Criterion, Objective


class Task(ABC):
    """One row of `TASKS`: everything specific to one task.

    Modules that need PyTorch are imported on use, so that importing the table is fast.
    """

    name: ClassVar[str]
    """Key of its row."""
    title: ClassVar[str]
    """Name in a sentence, such as ``instance segmentation``."""
    labels_of: ClassVar[str]
    """Entry of `Source.tasks` that a dataset needs for this task."""
    targets: ClassVar[tuple[type[Target[Any]], ...]]
    """Kinds of targets for training and scoring."""
    allowed: ClassVar[Allowed] = Allowed()
    """Prediction options of networks whose kind of output has none of its own, see `allowed_by_kind`."""
    allowed_by_kind: ClassVar[Mapping[str, Allowed]] = {}
    """Name of a kind of output -> prediction options of networks that return it."""
    has_stuff: ClassVar[bool] = False
    """Whether it distinguishes countable things from stuff."""
    has_label_maps: ClassVar[bool] = False
    """Whether each pixel gets one class: slices are then put together to volumes, which can be shown as
    animations, small parts can be removed, and distances between surfaces are measured where the spacing is
    known."""
    sees_whole_images: ClassVar[bool] = False
    """Whether each image is resized to one size and seen as a whole, instead of in crops at its own scale."""
    large_scale_jitter: ClassVar[bool] = False
    """Whether it is trained with zooms of 0.1 to 2 on accelerators, as is usual for objects."""
    picture_groups: ClassVar[tuple[PictureGroup, ...]] = WORST_AND_BEST
    """Which images of an evaluated split are drawn."""
    array_kinds: ClassVar[tuple[str, ...]] = ()
    """Names of the output kinds that `predict_arrays` decodes without PyTorch."""
    averages: ClassVar[bool] = False
    """Whether predictions of several models can be averaged."""
    has_candidates: ClassVar[bool] = False
    """Whether its predictions can be outlines or boxes in labelling tools, see `candidates`."""
    uncertainty_words: ClassVar[str] = ""
    """What `uncertainty` is, to follow "the uncertainty of an image is"; empty if the task has none."""
    compares_views: ClassVar[bool] = False
    """Whether `uncertainty` needs the prediction of the mirrored image, rather than probabilities."""
    has_outlines: ClassVar[bool] = False
    """Whether it predicts outlines of words."""
    sought: ClassVar[float] = 0.0
    """Fraction of crops centred on an object, where objects alone are labelled."""
    rotation: ClassVar[float] = 0.0
    """Maximum angle in degrees by which images with text are rotated in training."""
    prediction_formats: ClassVar[tuple[str, ...]] = ()
    """Formats in which `limner predict` can write results besides the usual one."""
    shown_scores: ClassVar[tuple[str, ...]]
    """Scores to show first, keys of `SCORES`."""

    @property
    @abstractmethod
    def objectives(self) -> "Mapping[OutputKind, Objective]":
        """Accepted output kinds, and the objective for each."""

    def labels(self, table: LabelTable) -> LabelTable:
        """Return the trained classes, given those of the data.

        Raises:
            ConfigError: None of the classes can be trained.
        """
        return table

    @abstractmethod
    def default_network(self, situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
        """Decide ``network.name`` and, for the default network, ``network.options``."""

    def preset(self, situation: Situation) -> Preset:
        """Return network, crop and batch size for this machine and time."""
        return find_preset(
            on_cpu=situation.machine.is_cpu, spatial_dims=situation.spatial_dims, minutes=situation.minutes
        )

    @abstractmethod
    def main_score(self, labels: LabelTable) -> str:
        """Return the score that selects the best weights; higher is better."""

    def shown_first(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Return the scores that terminal and report show first; the first is the `main_score`."""
        return self.shown_scores

    @abstractmethod
    def scorer(self, labels: LabelTable, extent: Extent = USUAL) -> Scorer:
        """Return a new scorer.

        Args:
            labels: The trained classes.
            extent: Additional measurements.

        Raises:
            ConfigError: The task does not support a requested measurement.
        """

    @abstractmethod
    def predict(
        self, runs: "NetworkRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> Prediction:
        """Run the network on an image, and decode its outputs.

        Args:
            runs: Runs of the network on the image.
            name: Name of the image.
            labels: The trained classes.
            probabilities: Whether to return class probabilities; only if `allowed`.

        Raises:
            DataError: The image is too large for the network.
        """

    def predict_arrays(
        self,
        runs: "ArrayRuns",
        *,
        name: str,
        labels: LabelTable,
        probabilities: bool,
    ) -> Prediction:
        """Return the same as `predict` for an exported network, without PyTorch; only of `array_kinds`.

        Args:
            runs: Runs of the network on the image.
            name: Name of the image.
            labels: The trained classes.
            probabilities: Whether to return class probabilities too; only if `allowed`.
        """
        raise NotImplementedError(f"the task {self.name!r} does not predict without PyTorch")

    def turned_back(self, prediction: Any, turn: Turn) -> Prediction:  # noqa: ANN401 - of this task
        """Return the prediction of a volume in the volume's own orientation, given it after a turn.

        Raises:
            ConfigError: Predictions of this task cannot be turned.
        """
        raise ConfigError(f"The task {self.name!r} does not turn volumes. Train the task `semantic`.")

    def averaged(
        self,
        predictions: Iterator[Any],
        *,
        labels: LabelTable,
        settings: InferencePlan,
        probabilities: bool,
    ) -> Prediction:
        """Return the mean of several models' predictions of one image; only if the task `averages`.

        Args:
            predictions: Predictions of this task with probabilities, which are used one after the other.
            labels: The trained classes.
            settings: What is done with the mean.
            probabilities: Whether to return the mean probabilities too.
        """
        raise NotImplementedError(f"predictions of the task {self.name!r} are not averaged")

    @abstractmethod
    def writer(self, folder: PredictionFolder, labels: LabelTable) -> PredictionWriter:
        """Return a writer that writes predictions to a folder, image by image."""

    def to_json(self, prediction: Any, labels: LabelTable, *, polygons: bool = False) -> dict[str, Any]:  # noqa: ANN401
        """Return a prediction as JSON-ready values, for programs and web pages.

        Args:
            prediction: Prediction of this task.
            labels: The trained classes.
            polygons: Whether to add outlines to the masks of objects.

        Raises:
            ConfigError: The task does not define it.
        """
        raise ConfigError(f"Predictions of the task {self.name!r} cannot be written as JSON.")

    def candidates(
        self,
        prediction: Any,  # noqa: ANN401 - of this task
        labels: LabelTable,
        *,
        least_score: float | None = None,
    ) -> "Iterator[Candidate]":
        """Yield the objects of a prediction of an image, for labelling tools.

        Args:
            prediction: Prediction of this task.
            labels: The trained classes.
            least_score: Leaves out objects with a lower score; None for what is usual for the task.
        """
        raise NotImplementedError(f"predictions of the task {self.name!r} have no outlines or boxes")

    def uncertainty(self, prediction: Any, mirrored: Any = None) -> float:  # noqa: ANN401 - of this task
        """Return how unsure the model is of an image, in [0, 1]; only with `uncertainty_words`.

        Args:
            prediction: Prediction of the image, with probabilities.
            mirrored: Prediction of the image mirrored left to right, if the task `compares_views`.
        """
        raise NotImplementedError(f"the task {self.name!r} has no measure of uncertainty")

    @abstractmethod
    def draw(
        self,
        image: Image,
        prediction: Any,  # noqa: ANN401 - of this task
        table: LabelTable,
        *,
        truth: Sample | None = None,
        title: str = "",
    ) -> RGBImage:
        """Draw the image, truth, prediction, and its errors side by side.

        Args:
            image: (*spatial, C) of any numeric type; for volumes, one slice is drawn.
            prediction: Prediction for the image.
            table: The trained classes.
            truth: The image with its targets; None draws only image and prediction.
            title: Title line.
        """

    def explained_first(self, prediction: Any) -> tuple[int, ...]:  # noqa: ANN401 - of this task
        """Return the classes to explain if the user names none; empty if one has to be named."""
        return ()

    def accepts(self, kind: "OutputKind") -> bool:
        """Return whether a network with this output kind can be trained for the task."""
        return kind in self.objectives

    def criterion(self, plan: Plan) -> "Criterion":
        """Build the losses of a run.

        Raises:
            ConfigError: The losses cannot be combined, or an option is unknown.
        """
        return self.build_criterion(plan.loss, labels=plan.data.label_table)

    def build_criterion(self, losses: LossPlan, *, labels: LabelTable) -> "Criterion":
        """Build the losses for the trained classes.

        Raises:
            ConfigError: The losses cannot be combined, or an option is unknown.
        """
        return self.objective(losses).criterion(losses, labels=labels)

    def objective(self, losses: LossPlan) -> "Objective":
        """Return the objective of a network that is trained with these losses.

        Raises:
            ConfigError: No network is trained with all of them.
        """
        return self.objectives[self.output_kind(losses)]

    def output_kind(self, losses: LossPlan) -> "OutputKind":
        """Return the kind of output of a network that is trained with these losses.

        Raises:
            ConfigError: No network is trained with all of them.
        """
        wanted = {term.name for term in losses.terms}
        for kind, objective in self.objectives.items():
            if wanted <= objective.losses:
                return kind
        known = [
            f"{', '.join(sorted(objective.losses))} (of networks that return {kind.__name__})"
            for kind, objective in self.objectives.items()
        ]
        raise ConfigError(
            describe(
                f"No network is trained for the task {self.name!r} with these losses",
                found=", ".join(sorted(wanted)),
                expected=" or ".join(known),
                fix="Set loss.terms=auto.",
            )
        )

    def allowed_with(self, losses: LossPlan) -> Allowed:
        """Return the prediction options of a network that is trained with these losses."""
        return self.allowed_for(self.output_kind(losses).__name__)

    def allowed_for(self, kind: str) -> Allowed:
        """Return the prediction options of a network, given the name of its kind of output."""
        return self.allowed_by_kind.get(kind, self.allowed)

    def refuse_unsuitable(self, kind: str, settings: InferencePlan, *, probabilities: bool) -> None:
        """Reject prediction options that a network cannot have.

        Args:
            kind: Name of its kind of output.
            settings: Window, flips, scales and small parts.
            probabilities: Whether class probabilities are requested.

        Raises:
            ConfigError: One of them is set.
        """
        if settings.largest_component and not self.has_label_maps:
            raise ConfigError(
                f"inference.largest_component is for label maps; this model's task is {self.name!r}. "
                "Set it to []."
            )
        self.allowed_for(kind).refuse_others(self.name, settings, probabilities=probabilities)

    def error_map(self, prediction: Any, sample: Sample, table: LabelTable) -> NDArray[np.uint8]:  # noqa: ANN401
        """Return a grey value for each right and wrong pixel; only if the task's scorer accepts ``maps``."""
        raise NotImplementedError(f"the task {self.name!r} has no maps of errors")

    def refuse_extent(self, extent: Extent) -> None:
        """Reject boundary, threshold and distance scores and maps of errors, which are for label maps.

        Raises:
            ConfigError: One of them is requested.
        """
        asked = {
            "boundaries": extent.boundaries,
            "thresholds": extent.thresholds,
            "maps": extent.maps,
            "distances": extent.cases,
            "tolerance": extent.tolerance is not None,
        }
        for option, is_asked in asked.items():
            if is_asked:
                raise ConfigError(
                    f"--{option} is for label maps of the semantic task; this model's task is "
                    f"{self.name!r}. Omit --{option}."
                )
