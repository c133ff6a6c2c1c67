"""Building blocks of `SOURCES`, the table of supported checkpoints of other projects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from limner.core.labels import LabelTable
from limner.core.plan import ResizePlan
from limner.weights.checkpoint_files import Checkpoint
from limner.weights.renaming import Naming, Renamed

T = TypeVar("T")


@dataclass(frozen=True)
class Inferred(Generic[T]):
    """An inferred value and its source."""

    value: T
    why: str


@dataclass(frozen=True)
class Normalization:
    """Normalisation of RGB images, in file values, 0 to 255."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class NetworkShape:
    """The network, inferred from the shapes of the tensors.

    Attributes:
        name: The network, as in `NETWORKS`.
        options: Options that differ from its defaults.
        num_classes: Number of classes.
        in_channels: Number of image channels.
        summary: Description of the network.
    """

    name: str
    options: dict[str, Any]
    num_classes: int
    in_channels: int
    summary: str


@dataclass(frozen=True)
class Asked:
    """Values given by the caller that the checkpoint lacks or has wrong; None if not given."""

    task: str | None = None
    classes: LabelTable | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Conclusions:
    """Information that the tensors do not contain, each with its source."""

    task: Inferred[str]
    labels: Inferred[LabelTable]
    normalization: Inferred[Normalization]
    resize: Inferred[ResizePlan]
    licence: Inferred[str | None]


@dataclass(frozen=True)
class CheckpointSource:
    """One project's checkpoints of one architecture.

    Attributes:
        architecture: Usual name, such as ``Mask2Former``.
        naming: The project's names of the tensors, and how to recognise them.
        example: A tensor name that all its checkpoints have, for error messages.
        refuse_others: Raises a `ModelError` if the configuration files are those of another architecture.
        read_shape: Infers the network from the renamed tensors.
        infer: Infers everything else.
        recipe: Sections of a plan with the authors' training settings: loss, optimizer, train.
    """

    architecture: str
    naming: Naming
    example: str
    refuse_others: Callable[[Checkpoint], object]
    read_shape: Callable[[Checkpoint, Renamed], NetworkShape]
    infer: Callable[[Checkpoint, NetworkShape, Asked], Conclusions]
    recipe: Mapping[str, Any]
