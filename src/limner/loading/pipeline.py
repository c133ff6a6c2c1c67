"""The training pipeline: the transforms for a plan's crops and augmentation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from limner.core.augment_plan import AugmentPlan
from limner.core.errors import ConfigError
from limner.core.labels import LabelTable
from limner.core.plan import InputPlan
from limner.core.sample import Sample
from limner.loading.mixing import Mixing
from limner.transforms.add_low_resolution import AddLowResolution
from limner.transforms.area_crop import AreaCrop
from limner.transforms.elastic import Elastic
from limner.transforms.erasing import Erasing
from limner.transforms.fit_channels import FitChannels
from limner.transforms.flip import Flip
from limner.transforms.jpeg_compression import JpegCompression
from limner.transforms.keep_zeros import KeepZeros
from limner.transforms.part_cut import PartCut
from limner.transforms.photometric import Photometric
from limner.transforms.quarter_turn import QuarterTurn
from limner.transforms.random_changes import RandomChanges
from limner.transforms.rotate import Rotate
from limner.transforms.scale_crop import ScaleCrop
from limner.transforms.transform import Transform
from limner.transforms.value_changes import ValueChanges
from limner.transforms.volume_patch import VolumePatch

FOR_IMAGES = {
    "cut_first": 0.0,
    "random_changes": 0,
    "category_max_ratio": 1.0,
    "scale_of": "image",
    "jpeg": None,
}
"""Settings of 2D images -> the only value for volumes."""

FOR_PATCHES = {"rotation": 0.0, "elastic": 0.0}
"""Settings of 2D images and of patches -> the only value for whole volumes."""

FOR_VOLUMES = {"thick_axis": None}
"""Settings of volumes -> the only value for 2D images."""


@dataclass(frozen=True)
class Pipeline:
    """A sequence of transforms whose random parameters can be recorded and replayed.

    Attributes:
        transforms: In order of application; each draws its parameters for the previous one's result.
    """

    transforms: tuple[Transform[Any], ...]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return a random augmentation of `sample`."""
        return self.record(sample, rng)[0]

    def record(self, sample: Sample, rng: np.random.Generator) -> tuple[Sample, tuple[object, ...]]:
        """Return a random augmentation of `sample`, and the parameters of each transform.

        Raises:
            DataError: The image's channels do not match the plan.
        """
        drawn: list[object] = []
        for transform in self.transforms:
            drawn.append(transform.draw(rng, sample))
            sample = transform.apply(sample, drawn[-1])
        return sample, tuple(drawn)

    def steps(self, sample: Sample, params: tuple[object, ...]) -> tuple[Sample, ...]:
        """Return `sample`, then the result of each transform with `params` from `record`."""
        samples = [sample]
        for transform, drawn in zip(self.transforms, params, strict=True):
            samples.append(transform.apply(samples[-1], drawn))
        return tuple(samples)


def build_pipeline(augment: AugmentPlan, input_plan: InputPlan, labels: LabelTable) -> Pipeline:
    """Build the training pipeline of a plan.

    Padding is the mean of the training images, which normalisation maps to zero. Cropping is early, so that
    later transforms process only the pixels of the crop.
    """
    if input_plan.spatial_dims == 3:
        _refuse(augment, FOR_IMAGES, of="2D images", others="volumes")
    else:
        _refuse(augment, FOR_VOLUMES, of="volumes in 3D", others="2D images")
    if input_plan.spatial_dims == 3 and augment.crop_area is not None:
        _refuse(augment, FOR_PATCHES, of="images and patches", others="whole volumes")
    _check_axes(augment.flip_axes, input_plan.spatial_dims)
    if input_plan.spatial_dims == 3 and augment.crop_area is None:
        return _volume_pipeline(augment, input_plan, labels)
    transforms: list[Transform[Any]] = [FitChannels(input_plan)]
    is_slice = input_plan.slice_axis is not None
    rotate = Rotate(augment.rotation, input_plan.mean, augment.affine_probability, in_space=is_slice)
    if augment.rotation and is_slice:  # before the crop, whose corners then show what is there
        transforms.append(rotate)
    transforms += _crops(augment, input_plan, labels)
    if augment.flip_axes:
        transforms.append(Flip(augment.flip_axes))
    if augment.quarter_turns:
        transforms.append(QuarterTurn())
    if augment.rotation and not is_slice:
        transforms.append(rotate)
    if augment.elastic:
        deviation, distance, often = augment.elastic, augment.elastic_grid, augment.elastic_probability
        transforms.append(Elastic(deviation, distance, often, fill=input_plan.mean))
    transforms += _image_values(augment, input_plan)
    if augment.erasing:
        transforms.append(Erasing(augment.erasing, fill=input_plan.mean))
    return Pipeline(tuple(transforms))


def _image_values(augment: AugmentPlan, input_plan: InputPlan) -> list[Transform[Any]]:
    """Return the changes of values of images, those of `random_changes` among them."""
    photometric = Photometric(
        brightness=augment.brightness,
        contrast=augment.contrast,
        saturation=augment.saturation,
        hue=augment.hue,
    )
    transforms: list[Transform[Any]] = []
    if photometric != Photometric():
        transforms.append(_inside_body(photometric, input_plan))
    changes = _value_changes(augment, input_plan)
    if not changes.is_noop:
        transforms.append(_inside_body(changes, input_plan))
    if augment.random_changes:
        number, strength = augment.random_changes, augment.change_strength
        transforms.append(RandomChanges(number, strength, fill=input_plan.mean))
    if augment.jpeg is not None:
        transforms.append(JpegCompression(augment.jpeg))
    return transforms


def _value_changes(augment: AugmentPlan, input_plan: InputPlan) -> ValueChanges:
    """Return the changes of values that images and volumes share; brightness and contrast are off."""
    colours = input_plan.spatial_dims == 2 and input_plan.slice_axis is None and input_plan.channels == 3
    return ValueChanges(
        noise=augment.noise,
        blur=augment.blur,
        low_resolution=augment.low_resolution,
        gamma=augment.gamma,
        mean=input_plan.mean,
        std=input_plan.std,
        by_channel=not colours and not input_plan.slice_neighbours,
    )


def _volume_pipeline(augment: AugmentPlan, input_plan: InputPlan, labels: LabelTable) -> Pipeline:
    """Build the pipeline for patches of volumes."""
    patch = VolumePatch(
        size=input_plan.crop_size,
        rotation=augment.rotation,
        scale=augment.scale,
        probability=augment.affine_probability,
        thick_axis=augment.thick_axis,
        elastic=augment.elastic,
        elastic_grid=augment.elastic_grid,
        elastic_probability=augment.elastic_probability,
        fill=input_plan.mean,
        foreground_probability=augment.foreground_probability,
        background=labels.background_index,
    )
    transforms: list[Transform[Any]] = [FitChannels(input_plan), patch]
    if augment.flip_axes:
        transforms.append(Flip(augment.flip_axes))
    if augment.quarter_turns:
        transforms.append(QuarterTurn())
    values = _value_changes(augment, input_plan)
    changes = replace(values, brightness=augment.brightness, contrast=augment.contrast)
    if not changes.is_noop:
        transforms.append(_inside_body(changes, input_plan))
    if augment.erasing:
        transforms.append(Erasing(augment.erasing, fill=input_plan.mean))
    if input_plan.cascade_mm is not None:
        transforms.append(AddLowResolution(labels.foreground_indices))
    return Pipeline(tuple(transforms))


def _inside_body(changes: Transform[Any], input_plan: InputPlan) -> Transform[Any]:
    """Return a change of values that leaves zeros as they are if the normalisation does."""
    if input_plan.normalize_over not in ("nonzero", "nonzero_of_channel"):
        return changes
    return KeepZeros(changes, of_each_channel=input_plan.normalize_over == "nonzero_of_channel")


def _refuse(augment: AugmentPlan, only: Mapping[str, object], *, of: str, others: str) -> None:
    """Refuse settings that would have no effect.

    Args:
        augment: The settings.
        only: Name of a setting -> its only value.
        of: What the settings are for.
        others: What is trained.

    Raises:
        ConfigError: A setting has another value.
    """
    for key, value in only.items():
        if getattr(augment, key) != value:
            shown = "null" if value is None else value
            raise ConfigError(f"augment.{key} is for {of}; set it to {shown} for {others}.")


def _check_axes(axes: Sequence[int], spatial_dims: int) -> None:
    """Refuse axes that an image lacks: the next one would be that of the channels.

    Raises:
        ConfigError: An axis is not there, or named twice.
    """
    known = "0 (up-down) and 1 (left-right)" if spatial_dims == 2 else "0, 1 and 2"
    if len({*axes}) < len(axes) or not {*axes} <= {*range(spatial_dims)}:
        raise ConfigError(f"augment.flip_axes are {known}, each once; found {list(axes)}.")


def build_mixing(augment: AugmentPlan, labels: LabelTable) -> Mixing | None:
    """Return what mixes the images of a batch, or None."""
    if not augment.mixup and not augment.cutmix:
        return None
    return Mixing(augment.mixup, augment.cutmix, labels.num_classes)


def _crops(augment: AugmentPlan, input_plan: InputPlan, labels: LabelTable) -> list[Transform[Any]]:
    """Return the crop of a part of the image's area, or the one after a zoom and maybe a cut."""
    if augment.crop_area is not None:
        area_crop = AreaCrop(
            size=input_plan.crop_size,
            area=augment.crop_area,
            aspect=augment.crop_aspect,
            fill=input_plan.mean,
        )
        return [area_crop]
    crop = ScaleCrop(
        size=input_plan.crop_size,
        scale=augment.scale,
        scale_of=augment.scale_of,
        resize=input_plan.resize,
        fill=input_plan.mean,
        category_max_ratio=augment.category_max_ratio,
        foreground_probability=augment.foreground_probability,
        background=labels.background_index,
        probability=augment.affine_probability,
    )
    return [PartCut(augment.cut_first), crop] if augment.cut_first else [crop]
