"""Segments: the objects and regions of one image, in a compact form.

Shape legend: B batch, N segments, n labels, L layers, *S spatial axes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from limner.core.boxes import as_labels, incomplete
from limner.core.targets import ImageTargets, Move, Target

if TYPE_CHECKING:
    import torch

MAX_SEGMENTS = 65535
"""Maximum number of segments in one image, since layers are at most 16-bit."""

Layer = npt.NDArray[Any]
"""(*S) uint8 or uint16: 0 is nothing, i + 1 is segment number i."""

Mask = npt.NDArray[np.bool_]
"""(*S) True inside a segment."""


@dataclass(frozen=True)
class SegmentTargets(ImageTargets):
    """The segments (instances of things, regions of stuff) of one image of a batch; N may be 0.

    Attributes:
        masks: (N, *S) bool; masks of one image may overlap.
        labels: (N,) int64 trained labels 0..K-1.
        top: (*S) int32 number of the segment of each pixel, the topmost of several as in `Segments.flat`: 0
            is nothing, i + 1 is segment i, and -1 is a crowd. None if made from label maps.
        complete: (n,) int64 labels of which all objects are drawn; None for all. Of other classes, there may
            be objects without a mask, so that what is outside masks says nothing about them.
    """

    masks: "torch.Tensor"
    labels: "torch.Tensor"
    top: "torch.Tensor | None" = None
    complete: "torch.Tensor | None" = None


@dataclass(frozen=True)
class Segments(Target[tuple[SegmentTargets, ...]]):
    """The segments (objects of things, regions of stuff) of one image; N may be 0.

    They are stored as maps of segment numbers instead of N masks. Overlapping segments are in different
    layers; most images need only one. A layer can be transformed like a label map.

    Attributes:
        layers: (L, *S) uint8 or uint16, L at least 1: 0 is nothing, i + 1 is segment number i. Each segment
            is entirely in one layer.
        labels: (N,) int64: trained labels 0..K-1, or mask values before they are translated.
        is_crowd: (N,) bool: a region of many objects that were not annotated individually; excluded from
            training, and predictions inside it do not count as errors.
        heights: (N,) int64, or None if unspecified: where segments overlap, the highest is on top in a label
            map, and among equal heights the smallest.
        complete: Labels of which all objects are drawn, so that any other found one is wrong; None for all.
    """

    key = "segments"
    layers: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    is_crowd: Mask
    heights: npt.NDArray[np.int64] | None = None
    complete: frozenset[int] | None = None

    def __post_init__(self) -> None:
        assert len(self.layers) >= 1, "no segments at all are one empty layer"
        assert self.labels.shape == self.is_crowd.shape, (self.labels.shape, self.is_crowd.shape)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """*S."""
        return tuple(self.layers.shape[1:])

    @property
    def is_scored(self) -> bool:
        """Whether there is any segment that is no crowd."""
        return not self.is_crowd.all()

    @property
    def areas(self) -> npt.NDArray[np.int64]:
        """(N,) number of pixels of each segment; 0 if it was cropped away."""
        return np.asarray(np.bincount(self.layers.ravel(), minlength=len(self) + 1)[1:])

    @property
    def shared_pixels(self) -> int:
        """Number of pixels in two or more segments."""
        return int((np.count_nonzero(self.layers, axis=0) > 1).sum()) if len(self.layers) > 1 else 0

    def masks(self) -> npt.NDArray[np.bool_]:
        """Return one mask per segment, (N, *S); needs N times the memory of a layer."""
        masks: npt.NDArray[np.bool_] = np.zeros((len(self), *self.spatial_shape), bool)
        for layer in self.layers:
            for number in np.flatnonzero(np.bincount(layer.ravel())[1:]):
                np.equal(layer, number + 1, out=masks[number])
        return masks

    def each_mask(self) -> Iterator[Mask]:
        """Yield one mask (*S) per segment; only one is in memory at a time."""
        home = np.zeros(len(self) + 1, np.int64)
        for place, layer in enumerate(self.layers):
            home[np.unique(layer)] = place
        for number in range(1, len(self) + 1):
            yield np.equal(self.layers[home[number]], number)

    def moved(self, move: Move) -> "Segments":
        """Return the segments of the moved image; pixels from outside are in none."""
        return self.with_layers(lambda layer: move.labels(layer, 0))

    def with_layers(self, change: Callable[[Layer], Layer]) -> "Segments":
        """Return the segments with `change` applied to each layer, as to a label map."""
        return replace(self, layers=np.stack([change(layer) for layer in self.layers]))

    @classmethod
    def stack(cls, targets: Sequence["Segments"], *, pin_memory: bool = False) -> tuple[SegmentTargets, ...]:
        """Return the segments for training, without crowds and empty ones."""
        import torch

        from limner.core.batch import empty_tensor

        stacked = []
        for target in targets:
            trained = (target.areas > 0) & ~target.is_crowd
            left = target.select(trained)
            masks = empty_tensor((len(left), *left.spatial_shape), np.bool_, pin_memory=pin_memory)
            masks.numpy()[...] = left.masks()
            numbers = np.zeros(len(target) + 1, np.int32)
            numbers[1:] = np.where(target.is_crowd, -1, np.cumsum(trained) * trained)
            top = empty_tensor(left.spatial_shape, np.int32, pin_memory=pin_memory)
            top.numpy()[...] = numbers[target.flat()]
            labels, complete = torch.from_numpy(np.array(left.labels)), as_labels(target.complete)
            stacked.append(SegmentTargets(masks, labels, top, complete))
        return tuple(stacked)

    def foreground_pixel(self, rng: np.random.Generator, background: int | None) -> tuple[int, ...] | None:
        """Draw a segment uniformly, then one of its pixels uniformly; None if there are no segments."""
        present = np.flatnonzero(self.areas)
        if present.size == 0:
            return None
        pixels = np.flatnonzero(self.layers == 1 + int(rng.choice(present)))
        position = np.unravel_index(pixels[rng.integers(pixels.size)], self.layers.shape)
        return tuple(int(i) for i in position[1:])

    def select(self, wanted: npt.NDArray[np.bool_]) -> "Segments":
        """Return the segments for which `wanted` (N,) is True, in order and renumbered."""
        if wanted.all():
            return self
        numbers = np.zeros(len(self) + 1, self.layers.dtype)
        numbers[1:][wanted] = np.arange(1, int(wanted.sum()) + 1)
        layers = numbers[self.layers]
        used = layers.reshape(len(layers), -1).any(1)
        used[0] |= not used.any()
        heights = None if self.heights is None else self.heights[wanted]
        return Segments(layers[used], self.labels[wanted], self.is_crowd[wanted], heights, self.complete)

    def with_crowds(self, found: npt.NDArray[np.int64]) -> "Segments":
        """Return also a crowd over the whole image for each found label that is not `complete`."""
        labels = incomplete(found, self.complete)
        if not len(labels):
            return self
        numbers = len(self) + 1 + np.arange(len(labels))
        dtype = np.promote_types(self.layers.dtype, np.min_scalar_type(int(numbers[-1])))
        whole = np.ones((len(labels), *self.spatial_shape), dtype)
        whole *= numbers.astype(dtype).reshape(-1, *[1] * len(self.spatial_shape))
        return Segments(
            np.concatenate([self.layers.astype(dtype), whole]),
            np.concatenate([self.labels, labels]),
            np.concatenate([self.is_crowd, np.ones(len(labels), bool)]),
        )

    def flat(self) -> Layer:
        """Return one layer; where segments overlap, the highest or smallest is on top, see `heights`.

        Others may lose all pixels.
        """
        top: Layer = self.layers[0]
        if len(self.layers) == 1:
            return top
        top = np.zeros_like(top)
        ranks = self._ranks()
        for layer in self.layers:
            over = (layer != 0) & (ranks[layer] > ranks[top])
            top[over] = layer[over]
        return top

    def _ranks(self) -> npt.NDArray[np.int64]:
        """Return (N + 1,) a rank of each number in a layer, higher on top; equals stay as they are."""
        heights = np.zeros(len(self), np.int64) if self.heights is None else self.heights
        keys = np.stack([heights, -self.areas])
        _, ranks = np.unique(keys, axis=1, return_inverse=True)
        return np.concatenate([[0], 1 + ranks.ravel()])

    def painted(self, elsewhere: int) -> npt.NDArray[Any]:
        """Return the label of each pixel, (*S), smaller segments on top; `elsewhere` outside segments."""
        labels = np.concatenate([[elsewhere], self.labels])
        smallest = np.min_scalar_type(int(labels.max())) if labels.min() >= 0 else np.dtype(np.int32)
        painted: npt.NDArray[Any] = labels.astype(smallest)[self.flat()]
        return painted


def segments_of(
    masks: Iterable[Mask],
    labels: Sequence[int],
    is_crowd: Sequence[bool] | None = None,
    *,
    shape: tuple[int, ...],
    heights: Sequence[int] | None = None,
) -> Segments:
    """Build segments from masks, each placed in the first layer with free pixels; uses one mask at a time.

    Args:
        masks: N of them, each `shape`; they may overlap.
        labels: N labels.
        is_crowd: N flags; None if no segment is a crowd.
        shape: *S.
        heights: N heights; None if unspecified.
    """
    assert len(labels) <= MAX_SEGMENTS, f"{len(labels)} segments in one image"
    layers = [np.zeros(shape, np.uint8 if len(labels) < 256 else np.uint16)]
    for number, mask in enumerate(masks, start=1):
        home = next((layer for layer in layers if not layer[mask].any()), None)
        if home is None:
            home = np.zeros_like(layers[0])
            layers.append(home)
        home[mask] = number
    crowd = np.zeros(len(labels), bool) if is_crowd is None else np.asarray(is_crowd, bool)
    high = None if heights is None else np.asarray(heights, np.int64)
    return Segments(np.stack(layers), np.asarray(labels, np.int64), crowd, high)


def segments_of_index(
    numbers: npt.NDArray[Any], labels: Sequence[int], is_crowd: Sequence[bool] | None = None
) -> Segments:
    """Build segments without overlaps from a map of numbers: 0 is nothing, i + 1 is segment i."""
    layer = numbers.astype(np.uint8 if len(labels) < 256 else np.uint16)
    crowd = np.zeros(len(labels), bool) if is_crowd is None else np.asarray(is_crowd, bool)
    return Segments(layer[None], np.asarray(labels, np.int64), crowd)
