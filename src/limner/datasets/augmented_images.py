"""Augmented training images: the original, and the result of each transform."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from limner.core.boxes import Boxes
from limner.core.label_map import LabelMap
from limner.core.labels import LabelArray, LabelTable
from limner.core.randomness import generator
from limner.core.sample import Sample
from limner.core.words import Words
from limner.drawing.display import RGBImage, Tones, display_image, tones_of
from limner.drawing.drawn_words import draw_words
from limner.drawing.grid import Row
from limner.drawing.labelled import labelled
from limner.drawing.named_objects import labelled_boxes
from limner.drawing.panels import Panel
from limner.loading.dataset import Dataset
from limner.loading.pipeline import Pipeline
from limner.loading.sampler import training_order
from limner.transforms.keep_zeros import KeepZeros

Mode = Literal["steps", "side-by-side", "final", "original"]

Step = tuple[str, Sample]
"""Name of a step, and its result."""


@dataclass(frozen=True)
class AugmentedImage:
    """One training image with its augmentation steps.

    Attributes:
        slot: Position in the training order.
        name: Name of the image.
        steps: The steps to show.
        tones: The values to draw black and white in all of them: those of the original, so that a step that
            darkens the image is seen to do so.
    """

    slot: int
    name: str
    steps: tuple[Step, ...]
    tones: Tones

    def row(self, table: LabelTable, side: int) -> Row:
        """Draw the steps side by side, with `side` pixels on the longer side."""
        panels = [
            Panel(f"{name}, {s.image.shape[1]} x {s.image.shape[0]}", _drawn(s, table, side, self.tones))
            for name, s in self.steps
        ]
        return Row(f"{self.slot}: {self.name}", tuple(panels))

    @property
    def label_maps(self) -> list[LabelArray]:
        """The label maps of the steps, or the labels of their boxes."""
        return [labels for _, sample in self.steps if (labels := _labels(sample)) is not None]


def _drawn(sample: Sample, table: LabelTable, side: int, tones: Tones) -> RGBImage:
    """Draw a sample with its boxes, its words or its label map."""
    boxes = sample.get(Boxes)
    if boxes is not None:
        return labelled_boxes(display_image(sample.image, tones), boxes, table, side=side)
    picture = labelled(sample.image, _labels(sample), table, side=side, tones=tones)
    words, (height, width) = sample.get(Words), sample.image.shape[:2]
    return picture if words is None else draw_words(picture, words, size=(height, width))


def _labels(sample: Sample) -> LabelArray | None:
    boxes, label_map = sample.get(Boxes), sample.get(LabelMap)
    if boxes is not None:
        return boxes.labels.astype(np.uint16)
    return None if label_map is None else label_map.labels


def augmented_images(
    dataset: Dataset,
    pipeline: Pipeline,
    slots: Sequence[int],
    *,
    mode: Mode,
    seed: int,
    balanced: bool = False,
) -> Iterator[AugmentedImage]:
    """Yield images in training order, with the results of the transforms.

    Args:
        dataset: The training images.
        pipeline: The transforms.
        slots: Positions in the training order.
        mode: As in `browse_augmented`.
        seed: Random seed of order and augmentation.
        balanced: As in `training_order`.
    """
    order = training_order(dataset.classes, seed=seed, balanced=balanced)
    for slot in slots:
        sample = dataset[order.index_of(slot)]
        steps = _steps(pipeline, sample, seed, slot)
        yield AugmentedImage(slot, sample.name, tuple(_picked(steps, mode)), tones_of(sample.image))


def _steps(pipeline: Pipeline, sample: Sample, seed: int, slot: int) -> list[Step]:
    """Return the original and the result of each transform, with names that mark unchanged images."""
    _, params = pipeline.record(sample, generator(seed, "augment", slot))
    samples = pipeline.steps(sample, params)
    named = [("original", sample)]
    for transform, before, after in zip(pipeline.transforms, samples, samples[1:], strict=False):
        unchanged = np.array_equal(before.image, after.image)
        kind = type(transform.changes if isinstance(transform, KeepZeros) else transform)
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
        named.append((f"{name} (no change)" if unchanged else name, after))
    return named


def _picked(steps: list[Step], mode: Mode) -> list[Step]:
    original, final = steps[0], ("as trained", steps[-1][1])
    return {
        "steps": steps,
        "side-by-side": [original, final],
        "final": [final],
        "original": [original],
    }[mode]
