"""Comparison of an exported file with its model on the same images.

Shape legend: B batch, C channels, *S spatial axes.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, TypeVar

import torch
from torch import Tensor

from limner.exporting.exported_module import ExportedModule
from limner.weights.exported import Run

T = TypeVar("T")
R = TypeVar("R")

NO_OBJECT = -1
"""Class of points and queries that find no object."""

LEAST_CHANCE = 0.25
"""Probability of a class from which a point or query finds an object: a point's score is the root of it."""


@dataclass(frozen=True)
class Agreement:
    """How the outputs of an exported file differ from those of the model.

    Attributes:
        images: What was compared, such as ``12 validation images``.
        num_images: Number of images.
        largest: Name of each output -> largest absolute difference.
        relative: Name of each output -> largest difference over the range of the model's values.
        labels_differ: Fraction of pixels or queries whose most probable class differs; of boxes, only those
            that either finds. None where the outputs have no classes, or there is no box.
        seconds_model: Median seconds of the model per image.
        seconds_export: Median seconds of the exported file per image.
    """

    images: str
    num_images: int
    largest: dict[str, float]
    relative: dict[str, float]
    labels_differ: float | None
    seconds_model: float
    seconds_export: float

    @property
    def worst(self) -> float:
        """The largest relative difference of all outputs."""
        return max(self.relative.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def measure_agreement(
    module: ExportedModule, run: Run, inputs: Sequence[Tensor], names: Sequence[str], *, images: str
) -> Agreement:
    """Run both on each input.

    Args:
        module: The model's own computation, in evaluation mode.
        run: The exported file.
        inputs: (1, C, *S) each.
        names: Names of the outputs.
        images: What the inputs are, in words.
    """
    largest, ranges = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    differing = counted = 0
    ours, theirs = [], []
    with torch.no_grad():
        run(inputs[0].numpy()), module(inputs[0])  # the first run of either prepares it
        for image in inputs:
            expected, seconds = _timed(module, image)
            ours.append(seconds)
            arrays, seconds = _timed(run, image.numpy())
            found = tuple(map(torch.from_numpy, arrays))
            theirs.append(seconds)
            for name, one, other in zip(names, expected, found, strict=True):
                one, other = one.double(), other.double()
                largest[name] = max(largest[name], float((one - other).abs().max()))
                ranges[name] = max(ranges[name], float(one.max() - one.min()))
            classes = [_classes(names, outputs) for outputs in (expected, found)]
            if classes[0] is not None and classes[1] is not None:
                differing += int((classes[0] != classes[1]).sum())
                counted += int(((classes[0] != NO_OBJECT) | (classes[1] != NO_OBJECT)).sum())
    relative = {name: largest[name] / ranges[name] if ranges[name] else largest[name] for name in names}
    share = differing / counted if counted else None
    return Agreement(images, len(inputs), largest, relative, share, median(ours), median(theirs))


def _timed(run: Callable[[T], Sequence[R]], image: T) -> tuple[tuple[R, ...], float]:
    began = time.perf_counter()
    found = run(image)
    return tuple(found), time.perf_counter() - began


def _classes(names: Sequence[str], outputs: Sequence[Tensor]) -> Tensor | None:
    """Return the most probable classes in the outputs, `NO_OBJECT` where no object is; None without classes.

    Of a single map, such as that of text, it is whether the pixel belongs to it.
    """
    by_name = dict(zip(names, outputs, strict=True))
    if "labels" in by_name:
        return by_name["labels"]
    if "boxes" in by_name:  # of points or queries, (B, N, K)
        chances, classes = by_name["class_logits"].sigmoid().max(-1)
        return classes.masked_fill(chances < LEAST_CHANCE, NO_OBJECT)
    scores = next((by_name[n] for n in ("logits", "probabilities", "class_logits") if n in by_name), None)
    if scores is None:
        return None
    axis = -1 if "embeddings" in by_name else 1  # of queries, (B, Q, K + 1)
    return scores.argmax(axis) if scores.shape[axis] > 1 else scores > 0
