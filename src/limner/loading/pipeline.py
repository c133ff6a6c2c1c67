"""The training pipeline: what the plan says about crops and augmentation, as transforms in order."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from limner.core.labels import LabelTable
from limner.core.plan import AugmentPlan, InputPlan
from limner.core.sample import Sample
from limner.transforms.fit_channels import FitChannels
from limner.transforms.flip import Flip
from limner.transforms.photometric import Photometric
from limner.transforms.quarter_turn import QuarterTurn
from limner.transforms.scale_crop import ScaleCrop
from limner.transforms.transform import Transform


@dataclass(frozen=True)
class Pipeline:
    """Transforms one after another; every change it makes can be recorded and replayed.

    Attributes:
        transforms: In the order they are applied; each draws from the sample as the one before left it.
    """

    transforms: tuple[Transform[Any], ...]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return a new random variant of `sample`."""
        return self.record(sample, rng)[0]

    def record(self, sample: Sample, rng: np.random.Generator) -> tuple[Sample, tuple[object, ...]]:
        """Return a variant of `sample`, and the parameters of each transform that made it.

        Raises:
            DataError: The image cannot be given the channels that the plan says.
        """
        drawn: list[object] = []
        for transform in self.transforms:
            drawn.append(transform.draw(rng, sample))
            sample = transform.apply(sample, drawn[-1])
        return sample, tuple(drawn)

    def replay(self, sample: Sample, params: tuple[object, ...]) -> Sample:
        """Return the variant of `sample` that `params`, from `record`, stand for: the same bytes."""
        return self.steps(sample, params)[-1]

    def steps(self, sample: Sample, params: tuple[object, ...]) -> tuple[Sample, ...]:
        """Return `sample`, and what each transform in turn makes of it with `params` from `record`."""
        samples = [sample]
        for transform, drawn in zip(self.transforms, params, strict=True):
            samples.append(transform.apply(samples[-1], drawn))
        return tuple(samples)


def build_pipeline(augment: AugmentPlan, input_plan: InputPlan, labels: LabelTable) -> Pipeline:
    """Build the training pipeline of a plan.

    Padding takes the mean of the training images, which the network sees as zero. Cropping comes early,
    so that the rest works on the pixels of the crop alone.
    """
    transforms: list[Transform[Any]] = [
        FitChannels(input_plan),
        ScaleCrop(
            size=input_plan.crop_size,
            scale=augment.scale,
            fill=input_plan.mean,
            category_max_ratio=augment.category_max_ratio,
            foreground_probability=augment.foreground_probability,
            background=labels.background_index,
        ),
    ]
    if augment.flip_axes:
        transforms.append(Flip(augment.flip_axes))
    if augment.quarter_turns:
        transforms.append(QuarterTurn())
    photometric = Photometric(
        brightness=augment.brightness,
        contrast=augment.contrast,
        saturation=augment.saturation,
        hue=augment.hue,
    )
    if photometric != Photometric():
        transforms.append(photometric)
    return Pipeline(tuple(transforms))
