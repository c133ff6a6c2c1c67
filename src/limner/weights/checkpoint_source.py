"""What reading another project's checkpoints takes: the rows of `SOURCES` are made of this."""

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
    """An answer and where it is from."""

    value: T
    why: str


@dataclass(frozen=True)
class Normalization:
    """In the values of image files, 0 to 255, in the order red, green, blue."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class NetworkShape:
    """What the shapes of the tensors tell.

    Attributes:
        name: The network, as in `NETWORKS`.
        options: Those that differ from its defaults.
        num_classes: That it scores.
        in_channels: Of the image.
        summary: The network in words.
    """

    name: str
    options: dict[str, Any]
    num_classes: int
    in_channels: int
    summary: str


@dataclass(frozen=True)
class Asked:
    """What the caller states where the checkpoint does not tell, or wrongly; None states nothing."""

    task: str | None = None
    classes: LabelTable | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Conclusions:
    """What the tensors do not tell, each with where it is from."""

    task: Inferred[str]
    labels: Inferred[LabelTable]
    normalization: Inferred[Normalization]
    resize: Inferred[ResizePlan]
    licence: Inferred[str | None]


@dataclass(frozen=True)
class CheckpointSource:
    """One project's checkpoints of one architecture.

    Attributes:
        architecture: As people write it, such as ``Mask2Former``.
        naming: How the project names the tensors, and by which name it is told from others.
        example: A name that all its checkpoints have, for the message that nothing fits.
        refuse_others: Raises a `ModelError` where the files beside the tensors are those of another
            architecture.
        read_shape: The tensors in our names -> the network that they are.
        infer: Everything else that is to be known.
        recipe: Sections of a plan as the architecture's authors train it: loss, optimizer, train.
    """

    architecture: str
    naming: Naming
    example: str
    refuse_others: Callable[[Checkpoint], object]
    read_shape: Callable[[Checkpoint, Renamed], NetworkShape]
    infer: Callable[[Checkpoint, NetworkShape, Asked], Conclusions]
    recipe: Mapping[str, Any]
