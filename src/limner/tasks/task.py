"""Interface of tasks: targets, training, decoding, scoring, writing and drawing."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from limner.core.errors import ConfigError
from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.plan import Decision, LossPlan, Plan
from limner.core.prediction import Prediction
from limner.core.sample import Sample
from limner.core.targets import Target
from limner.drawing.display import RGBImage
from limner.evaluation.scorer import USUAL, Extent, Scorer
from limner.tasks.prediction_folder import PredictionFolder, PredictionWriter
from limner.tasks.situation import Situation

if TYPE_CHECKING:
    from limner.core.outputs import OutputKind
    from limner.decoding.network_runs import NetworkRuns
    from limner.tasks.objective import Criterion, Objective


@dataclass(frozen=True)
class Allowed:
    """Prediction options that a task supports.

    Attributes:
        windows: Whether large images can be predicted in overlapping windows, whose scores are averaged.
        views: Whether scores of mirrored and zoomed views can be averaged.
        probabilities: Whether there is a probability of each class at each pixel.
        why_not: What the task does instead, and why, to follow "The ... task".
    """

    windows: bool = True
    views: bool = True
    probabilities: bool = True
    why_not: str = ""


OBJECTS_ONLY_WHOLE = Allowed(
    windows=False,
    views=False,
    probabilities=False,
    why_not=(
        "predicts whole images at their own size: objects found in windows, mirrored or zoomed views "
        "cannot be averaged"
    ),
)
"""Prediction options of tasks that find objects."""


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
    has_stuff: ClassVar[bool] = False
    """Whether it distinguishes countable things from stuff."""
    large_scale_jitter: ClassVar[bool] = False
    """Whether it is trained with zooms of 0.1 to 2 on accelerators, as is usual for objects."""
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

    @abstractmethod
    def writer(self, folder: PredictionFolder, labels: LabelTable) -> PredictionWriter:
        """Return a writer that writes predictions to a folder, image by image."""

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

    def accepts(self, kind: "OutputKind") -> bool:
        """Return whether a network with this output kind can be trained for the task."""
        return kind in self.objectives

    def criterion(self, plan: Plan) -> "Criterion":
        """Build the losses of a run.

        Raises:
            ConfigError: The losses cannot be combined, or an option is unknown.
        """
        return self.build_criterion(plan.loss, num_classes=plan.data.label_table.num_classes)

    def build_criterion(self, losses: LossPlan, *, num_classes: int) -> "Criterion":
        """Build losses for a number of classes; the output kind is inferred from the losses' names.

        Raises:
            ConfigError: The losses cannot be combined, or an option is unknown.
        """
        wanted = {term.name for term in losses.terms}
        *others, last = self.objectives.values()
        objective = next((one for one in others if wanted <= one.losses), last)
        return objective.criterion(losses, num_classes=num_classes)

    def error_map(self, prediction: Any, sample: Sample, table: LabelTable) -> NDArray[np.uint8]:  # noqa: ANN401
        """Return a grey value for each right and wrong pixel; only if the task's scorer accepts ``maps``."""
        raise NotImplementedError(f"the task {self.name!r} has no maps of errors")

    def refuse_extent(self, extent: Extent) -> None:
        """Reject boundary and threshold scores and maps of errors, which are for label maps.

        Raises:
            ConfigError: One of them is requested.
        """
        for option in ("boundaries", "thresholds", "maps"):
            if getattr(extent, option):
                raise ConfigError(
                    f"--{option} is for label maps of the semantic task; this model's task is "
                    f"{self.name!r}. Omit --{option}."
                )
