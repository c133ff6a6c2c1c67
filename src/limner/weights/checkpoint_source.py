"""Building blocks of `SOURCES`, the table of supported checkpoints of other projects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from limner.core.config import parse_config
from limner.core.labels import LabelTable
from limner.core.plan import ResizePlan
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.how_read import SECTION, HowRead, UnknownInput
from limner.weights.renaming import Renamed

T = TypeVar("T")

SET_BY_USER = "you set it"
"""Source of a value that the caller has given."""


@dataclass(frozen=True)
class Inferred(Generic[T]):
    """An inferred value and its source."""

    value: T
    why: str


@dataclass(frozen=True)
class Normalization:
    """Normalisation of images, in file values, 0 to 255; one value per channel, red first."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class PredictionWindow:
    """A sliding window: its size (height, width) in pixels, and the fraction that neighbours share."""

    size: tuple[int, int]
    overlap: float


@dataclass(frozen=True)
class NetworkShape:
    """The network, inferred from the shapes of the tensors and from configuration files.

    Attributes:
        name: The network, as in `NETWORKS`.
        options: Options that differ from its defaults.
        num_classes: Number of classes.
        in_channels: Number of image channels.
        summary: Description of the network.
        sources: Option -> where its value is from, for those that tensors do not contain.
        spatial_dims: 2 for images, 3 for volumes.
    """

    name: str
    options: dict[str, Any]
    num_classes: int
    in_channels: int
    summary: str
    sources: Mapping[str, str] = field(default_factory=dict)
    spatial_dims: int = 2


@dataclass(frozen=True)
class Asked:
    """Values given by the caller that the checkpoint lacks or has wrong; None if not given.

    Attributes:
        task: A row of `TASKS`.
        classes: The classes in trained order.
        licence: Licence of the weights.
        network: A row of `NETWORKS`, for a state dict of unknown origin.
        settings: Settings of the plan, nested, such as the network's options, and those of `HowRead` in the
            section ``checkpoint``.
    """

    task: str | None = None
    classes: LabelTable | None = None
    licence: str | None = None
    network: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """The network's options among the settings."""
        return dict(self.settings.get("network", {}).get("options", {}))

    @property
    def sources(self) -> dict[str, str]:
        """The source of each of these options."""
        return dict.fromkeys(self.options, SET_BY_USER)

    @property
    def how_read(self) -> HowRead:
        """How the checkpoint is read, among the settings.

        Raises:
            ConfigError: A setting of it is unknown or has a wrong value.
        """
        return parse_config(HowRead, self.settings.get(SECTION, {}), where=f"--set {SECTION}")


@dataclass(frozen=True)
class Conclusions:
    """Information that the tensors do not contain, each with its source.

    Attributes:
        task: A row of `TASKS`.
        labels: The classes in trained order.
        normalization: Mean and standard deviation.
        resize: Size to which images are resized for prediction.
        licence: Licence of the weights, or None.
        window: The sliding window, or None for whole images.
        facts: Topic -> anything else that makes the network compute the same, in words with the source.
        settings: Dotted key -> setting of the plan that none of the others contains, such as
            ``input.spacing_mm``.
        unknown: What neither the checkpoint nor its project says, so that it was assumed.
    """

    task: Inferred[str]
    labels: Inferred[LabelTable]
    normalization: Inferred[Normalization]
    resize: Inferred[ResizePlan]
    licence: Inferred[str | None]
    window: Inferred[PredictionWindow] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Inferred[Any]] = field(default_factory=dict)
    unknown: frozenset[UnknownInput] = frozenset()


@dataclass(frozen=True)
class ReadNetwork:
    """A checkpoint as a network of limner.

    Attributes:
        network: Which one.
        tensors: Its tensors, by limner's names.
        conclusions: Everything else.
    """

    network: NetworkShape
    tensors: Renamed
    conclusions: Conclusions


@dataclass(frozen=True)
class CheckpointSource:
    """One project's checkpoints of one architecture, or of several with a common way of naming.

    Attributes:
        title: Name of the project.
        architecture: Usual name of the architecture, such as ``Mask2Former``.
        example: A tensor name that all its checkpoints have, for error messages.
        recognises: Tells whether a checkpoint is of this source.
        read: Infers the network, renames the tensors, and infers everything else.
        refuse_others: Raises a `ModelError` if the configuration files are those of another architecture,
            for checkpoints that no source recognises.
        recipe: Sections of a plan with the authors' training settings: loss, optimizer, train.
    """

    title: str
    architecture: str
    example: str
    recognises: Callable[[Checkpoint], bool]
    read: Callable[[Checkpoint, Asked], ReadNetwork]
    recipe: Mapping[str, Any]
    refuse_others: Callable[[Checkpoint], object] = lambda _: None
