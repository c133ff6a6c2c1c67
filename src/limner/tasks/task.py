"""What every task is: its targets, how it is trained, decoded, scored, written and drawn."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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
    """Which ways of predicting make sense for a task.

    Attributes:
        windows: A large image may be cut into overlapping windows, whose scores are averaged.
        views: Scores of mirrored and zoomed views may be averaged.
        probabilities: There is a probability of each class at each pixel.
        why_not: What the task does instead, and why, after "the task".
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
"""What makes sense for tasks that find objects."""


class Task(ABC):
    """One row of `TASKS`: everything that is particular to one task.

    What needs PyTorch is imported when it is asked for, so that the table itself costs nothing.
    """

    name: ClassVar[str]
    """The key of its row."""
    title: ClassVar[str]
    """What it is called in a sentence, such as ``instance segmentation``."""
    labels_of: ClassVar[str]
    """What its labels must be good for, a word of `Source.tasks`."""
    targets: ClassVar[tuple[type[Target[Any]], ...]]
    """The kinds of target that it is trained on and scored against."""
    allowed: ClassVar[Allowed] = Allowed()
    has_stuff: ClassVar[bool] = False
    """Whether it treats countable things and regions of stuff differently."""
    large_scale_jitter: ClassVar[bool] = False
    """Whether it is trained with zooms of 0.1 to 2 on accelerators, as objects are."""
    shown_scores: ClassVar[tuple[str, ...]]
    """Scores to show first, names of `SCORES`."""

    @property
    @abstractmethod
    def objectives(self) -> "Mapping[OutputKind, Objective]":
        """The output kinds it accepts, and how a network of each is trained."""

    def labels(self, table: LabelTable) -> LabelTable:
        """Return the classes that are trained, given those of the data.

        Raises:
            ConfigError: None of them can be trained.
        """
        return table

    @abstractmethod
    def default_network(self, situation: Situation, settled: Mapping[str, Any]) -> Iterator[Decision]:
        """Decide ``network.name`` and, for a network of its own choice, ``network.options``."""

    @abstractmethod
    def main_score(self, labels: LabelTable) -> str:
        """Return the score that decides which weights are best; higher is better."""

    def shown_first(self, num_classes: int) -> tuple[str, ...]:
        """Return the scores that terminal and report show first; the most telling one leads."""
        return self.shown_scores

    @abstractmethod
    def scorer(self, labels: LabelTable, extent: Extent = USUAL) -> Scorer:
        """Return a fresh scorer.

        Args:
            labels: The trained classes.
            extent: What to measure beyond the usual.

        Raises:
            ConfigError: The extent asks for what this task does not have.
        """

    @abstractmethod
    def predict(
        self, runs: "NetworkRuns", *, name: str, labels: LabelTable, probabilities: bool
    ) -> Prediction:
        """Run the network on an image, and return what its outputs mean.

        Args:
            runs: The image.
            name: Of the image.
            labels: The trained classes.
            probabilities: Whether to return those of each class; only where `allowed`.

        Raises:
            DataError: The image is too large for the network.
        """

    @abstractmethod
    def writer(
        self, folder: PredictionFolder, labels: LabelTable
    ) -> AbstractContextManager[PredictionWriter]:
        """Return what writes predictions into a folder as they come."""

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
        """Draw image, truth, prediction, and what of it is right, side by side.

        Args:
            image: (*spatial, C) of any number type; of a volume one slice is drawn.
            prediction: Of that image.
            table: The trained classes.
            truth: The image with its targets; None draws image and prediction only.
            title: A line above.
        """

    def accepts(self, kind: "OutputKind") -> bool:
        """Return whether a network with this output kind can be trained for the task."""
        return kind in self.objectives

    def criterion(self, plan: Plan) -> "Criterion":
        """Build the losses of a run.

        Raises:
            ConfigError: The losses do not go together, or have no such option.
        """
        return self.build_criterion(plan.loss, num_classes=plan.data.label_table.num_classes)

    def build_criterion(self, losses: LossPlan, *, num_classes: int) -> "Criterion":
        """Build losses for a number of classes; the names of the losses tell for which output kind.

        Raises:
            ConfigError: The losses do not go together, or have no such option.
        """
        wanted = {term.name for term in losses.terms}
        *others, last = self.objectives.values()
        objective = next((one for one in others if wanted <= one.losses), last)
        return objective.criterion(losses, num_classes=num_classes)

    def refuse_extent(self, extent: Extent) -> None:
        """Refuse to measure outlines or thresholds, which are for label maps.

        Raises:
            ConfigError: One of them is asked for.
        """
        for option, wanted in (("boundaries", extent.boundaries), ("thresholds", extent.thresholds)):
            if wanted:
                raise ConfigError(
                    f"--{option} is for label maps of the semantic task; this model's task is "
                    f"{self.name!r}. Omit --{option}."
                )
