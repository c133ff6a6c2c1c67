"""Output kinds: the types that networks return and tasks accept.

Shape legend: B batch, K classes, M maps, Q queries, P points, C channels, D number of spatial axes,
*s spatial axes at the network's own resolution, *S wanted resolution.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch.utils._pytree import register_pytree_node

if TYPE_CHECKING:
    from typing_extensions import Self


class Outputs:
    """Base class of network outputs, frozen dataclasses; a task accepts one or more of its subclasses."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors of a prediction by name; auxiliary outputs, for training, are in tuples."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}  # type: ignore[attr-defined]
        return {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}


OutputKind = type[Outputs]
"""The output class that a network declares."""


def output_kinds() -> dict[str, OutputKind]:
    """Return every kind by its name, as in files."""
    kinds = Outputs.__subclasses__()
    kinds += [kind for base in kinds for kind in base.__subclasses__()]
    return {kind.__name__: kind for kind in kinds if is_dataclass(kind)}


class PixelMaps(Outputs):
    """Base class of outputs with a value for each pixel, so that those of windows can be blended."""

    @abstractmethod
    def resized(self, size: Sequence[int]) -> "Self":
        """Return the maps at size *S."""

    @abstractmethod
    def stacked(self) -> torch.Tensor:
        """Return all maps that prediction uses as one tensor, (B, M, *s)."""

    @classmethod
    @abstractmethod
    def unstacked(cls, maps: torch.Tensor) -> "Self":
        """Return the outputs whose `stacked` maps (B, M, *s) are given."""


@dataclass(frozen=True)
class AuxiliaryLogits:
    """The logits of an auxiliary head, used only in training, with a weighted loss.

    Attributes:
        logits: (B, K, *s); *s may be coarser than in the main logits.
        weight: Weight of its loss, from the paper.
    """

    logits: torch.Tensor
    weight: float


@dataclass(frozen=True)
class DenseLogits(Outputs):
    """A logit for each class at each pixel, 2D or 3D.

    Attributes:
        logits: (B, K, *s) before softmax, covering the whole input at the network's own resolution;
            use `resize_logits` for input resolution (bilinear or trilinear, ``align_corners=False``).
        auxiliary: Outputs of auxiliary heads; empty in evaluation mode.
        weight: Weight of the loss of `logits`; below 1 if it and those of `auxiliary` sum to 1.
    """

    logits: torch.Tensor
    auxiliary: tuple[AuxiliaryLogits, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True)
class QueryMasks(Outputs):
    """A set of predicted segments, each with a class and a mask; masks are stored as two factors.

    The mask logits are their dot products, ``einsum("bqc,bc...->bq...", embeddings, features)``. With
    separate factors, a loss can sample the features at a few points first, and a decoder can compute only
    the masks it needs: the (B, Q, *s) maps of all queries, the largest tensors in training, are avoided.

    Attributes:
        class_logits: (B, Q, K + 1) before softmax; the last class is "no object".
        embeddings: (B, Q, C), one vector per query.
        features: (B, C, *s) covering the whole input at the network's own resolution.
        auxiliary: The outputs of each earlier decoder layer, in order, without auxiliary outputs of
            their own; they may share the tensor `features`. Empty in evaluation mode.
    """

    class_logits: torch.Tensor
    embeddings: torch.Tensor
    features: torch.Tensor
    auxiliary: tuple["QueryMasks", ...] = ()

    @property
    def mask_logits(self) -> torch.Tensor:
        """(B, Q, *s) mask logits before sigmoid, for all queries; a large tensor."""
        maps = torch.bmm(self.embeddings, self.features.flatten(2))
        return maps.view(*maps.shape[:2], *self.features.shape[2:])


@dataclass(frozen=True)
class CentreOffsets(PixelMaps):
    """For each pixel: its class, how near the centre of an object is, and where the centre of its own is.

    Everything is a map of pixels, so that outputs of windows can be blended, and those of mirrored and zoomed
    views averaged.

    Attributes:
        class_logits: (B, K + 1, *s) before softmax; the last class is "nothing".
        centres: (B, 1, *s) heatmap: 1 at the centre of an object, falling to 0 around it.
        offsets: (B, D, *s) from each pixel to the centre of its object, along each spatial axis, in pixels of
            the network's own resolution.
        auxiliary: Always empty.
    """

    class_logits: torch.Tensor
    centres: torch.Tensor
    offsets: torch.Tensor
    auxiliary: tuple[()] = ()

    def resized(self, size: Sequence[int]) -> "CentreOffsets":
        """Return the maps at size *S, with offsets in its pixels."""
        return CentreOffsets(
            resize_logits(self.class_logits, size),
            resize_logits(self.centres, size),
            resize_offsets(self.offsets, size),
        )

    def mirrored(self, axes: Sequence[int]) -> "CentreOffsets":
        """Return the maps mirrored along spatial axes, counted from 0."""
        if not axes:
            return self
        maps = self.stacked().flip([axis + 2 for axis in axes])
        mirrored = CentreOffsets.unstacked(maps)
        signs = [-1.0 if axis in axes else 1.0 for axis in range(self.offsets.shape[1])]
        factors = self.offsets.new_tensor(signs).view(1, -1, *[1] * len(signs))
        return CentreOffsets(mirrored.class_logits, mirrored.centres, mirrored.offsets * factors)

    def stacked(self) -> torch.Tensor:
        """Return all maps as one tensor, (B, K + 2 + D, *s)."""
        return torch.cat((self.class_logits, self.centres, self.offsets), 1)

    @classmethod
    def unstacked(cls, maps: torch.Tensor) -> "CentreOffsets":
        """Return the outputs whose `stacked` maps (B, K + 2 + D, *s) are given."""
        dims = maps.ndim - 2
        num_classes = maps.shape[1] - 1 - dims
        centres = maps[:, num_classes : num_classes + 1]
        return cls(maps[:, :num_classes], centres, maps[:, num_classes + 1 :])


@dataclass(frozen=True)
class TextMaps(PixelMaps):
    """For each pixel: whether it is in the core of a word, and the threshold of that probability.

    The core is a word without a margin, so that words which touch have separate cores. Thresholds are learned
    only to sharpen the borders of the cores (differentiable binarization), and not used in prediction.

    Attributes:
        logits: (B, K, *s) before sigmoid: of the probability of a core of each of K kinds of text, usually 1.
        threshold_logits: (B, K, *s) before sigmoid; None in evaluation mode.
        auxiliary: Always empty.
    """

    logits: torch.Tensor
    threshold_logits: torch.Tensor | None = None
    auxiliary: tuple[()] = ()

    def resized(self, size: Sequence[int]) -> "TextMaps":
        """Return the maps at size *S."""
        thresholds = self.threshold_logits
        return TextMaps(
            resize_logits(self.logits, size), None if thresholds is None else resize_logits(thresholds, size)
        )

    def stacked(self) -> torch.Tensor:
        """Return the logits of the probabilities, (B, K, *s)."""
        return self.logits

    @classmethod
    def unstacked(cls, maps: torch.Tensor) -> "TextMaps":
        """Return the outputs with these logits (B, K, *s)."""
        return cls(maps)


@dataclass(frozen=True)
class PointBoxes(Outputs):
    """For each of many points: the score of each class, and the box of the object there.

    Attributes:
        class_logits: (B, P, K) before sigmoid: each class on its own, without "nothing".
        boxes: (B, P, 4) left, top, right, bottom in pixels of the input; they may exceed it.
        points: (P, 3) x, y and stride of each point in pixels of the input; the same for all images.
        auxiliary: Always empty.
    """

    class_logits: torch.Tensor
    boxes: torch.Tensor
    points: torch.Tensor
    auxiliary: tuple[()] = ()


@dataclass(frozen=True)
class QueryBoxes(Outputs):
    """A set of predicted boxes, one for each query.

    Attributes:
        class_logits: (B, Q, K) before sigmoid: each class on its own, without "nothing".
        boxes: (B, Q, 4) middle x and y, width and height, as fractions of the input in [0, 1].
        auxiliary: The outputs of each earlier decoder layer, in order. Empty in evaluation mode.
        proposals: The boxes of a first stage, one for each pixel of the encoder, regardless of class; None in
            evaluation mode and without a first stage.
        denoised: What became of noisy copies of the true boxes; None in evaluation mode and without copies.
    """

    class_logits: torch.Tensor
    boxes: torch.Tensor
    auxiliary: tuple["QueryBoxes", ...] = ()
    proposals: "QueryBoxes | None" = None
    denoised: "DenoisedBoxes | None" = None


@dataclass(frozen=True)
class DenoisedBoxes:
    """Boxes that were restored from D noisy copies of the true boxes of each image, in training.

    Attributes:
        layers: The boxes of each decoder layer, (B, D, ...).
        truth: (B, D) int64: number of the true box to restore, among those that are not ignored; `NOTHING`
            for copies with so much noise that there is nothing.
        groups: Number of copies with little noise of each true box.
    """

    layers: tuple[QueryBoxes, ...]
    truth: torch.Tensor
    groups: int


NOTHING = -1
"""Number of the true box of queries that have none."""


@dataclass(frozen=True)
class ClassLogits(Outputs):
    """A logit for each class of a whole image.

    Attributes:
        logits: (B, K) before softmax, or before the sigmoid where an image may have several classes.
        auxiliary: Always empty.
    """

    logits: torch.Tensor
    auxiliary: tuple[()] = ()


PixelOutputs = DenseLogits | QueryMasks
"""Output kinds from which the class of each pixel can be computed."""


def resize_logits(logits: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Resize logits linearly along each spatial axis, ``align_corners=False``.

    Args:
        logits: (B, K, *s).
        size: Target size *S.

    Returns:
        (B, K, *S) in the type of `logits`; `logits` itself if the sizes are equal.
    """
    if logits.shape[2:] == torch.Size(size):
        return logits
    mode = "bilinear" if len(size) == 2 else "trilinear"
    return F.interpolate(logits, size=tuple(size), mode=mode, align_corners=False)


def resize_offsets(offsets: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Resize offsets (B, D, *s) in pixels to (B, D, *S), and scale them to the new pixels."""
    if offsets.shape[2:] == torch.Size(size):
        return offsets
    factors = [new / old for new, old in zip(size, offsets.shape[2:], strict=True)]
    scale = offsets.new_tensor(factors).view(1, -1, *[1] * len(factors))
    return resize_logits(offsets, size) * scale


def _register_for_export() -> None:
    """Register the output kinds as pytrees, so torch.export and torch.compile see their tensors."""
    register_pytree_node(
        AuxiliaryLogits,
        lambda side: ([side.logits], side.weight),
        lambda leaves, weight: AuxiliaryLogits(next(iter(leaves)), weight),
        serialized_type_name="limner.AuxiliaryLogits",
    )
    register_pytree_node(
        DenoisedBoxes,
        lambda restored: ([list(restored.layers), restored.truth], restored.groups),
        _restored,
        serialized_type_name="limner.DenoisedBoxes",
    )
    for kind in output_kinds().values():
        register_pytree_node(
            kind, _values_of, partial(_rebuilt, kind), serialized_type_name=f"limner.{kind.__name__}"
        )


def _restored(leaves: Iterable[Any], groups: int) -> DenoisedBoxes:
    """Return the restored boxes whose layers, truth and groups are given."""
    layers, truth = leaves
    return DenoisedBoxes(tuple(layers), truth, groups)


def _values_of(outputs: Any) -> tuple[list[Any], dict[str, float] | None]:  # noqa: ANN401 - of any kind
    """Return the values of all fields, in which auxiliary outputs are a list; and those that are numbers."""
    fields = {name: getattr(outputs, name) for name in outputs.__dataclass_fields__}
    numbers = {name: value for name, value in fields.items() if isinstance(value, float)}
    values = [value for name, value in fields.items() if name not in numbers]
    return [list(value) if isinstance(value, tuple) else value for value in values], numbers or None


def _rebuilt(kind: OutputKind, values: Iterable[Any], numbers: dict[str, float] | None) -> Outputs:
    """Return the outputs of a kind whose `_values_of` are given; exports of before lack the numbers."""
    numbers = numbers or {}
    fields: Iterable[str] = kind.__dataclass_fields__  # type: ignore[attr-defined]
    names = [name for name in fields if name not in numbers]
    whole = [tuple(value) if isinstance(value, list) else value for value in values]
    return kind(**dict(zip(names, whole, strict=False)), **numbers)


_register_for_export()
