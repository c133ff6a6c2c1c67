"""Augmentation of training images: a part of the plan."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from limner.core.config import Config, Part, Probability


class AugmentPlan(Config):
    """Augmentation of training images, drawn independently for each sample."""

    crop_area: tuple[Part, Part] | None = None
    """Smallest and largest part of the image's area that a crop shows, resized to `input.crop_size`, for
    classes of whole images; null crops after a zoom by `scale`."""
    crop_aspect: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.75, 1.3333)
    """Smallest and largest width over height of such a part."""
    cut_first: Probability = 0.0
    """Fraction of 2D images that are cut to a random part before the zoom, of 384 to 600 pixels a side after
    resizing to a shorter side of 400 to 600, as DETR does."""
    random_changes: Annotated[int, Field(ge=0)] = 0
    """Number of random changes of colour and geometry of each image, as in RandAugment; for 2D images."""
    change_strength: Probability = 0.5
    """Strength of each of these changes."""
    erasing: Probability = 0.0
    """Fraction of images of which a random rectangle is erased."""
    mixup: Annotated[float, Field(ge=0)] = 0.0
    """Blend pairs of images of a batch, and their classes alike, in shares from a beta distribution with
    this parameter, usually 0.2 to 0.8; for classes of whole images."""
    cutmix: Annotated[float, Field(ge=0)] = 0.0
    """Instead paste a rectangle of another image, usually 1; if both are set, each in half of the batches."""
    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.5, 2.0)
    """Smallest and largest zoom."""
    scale_of: Literal["image", "fit"] = "image"
    """A zoom of 1: `image` is the image after `input.resize`, `fit` the zoom at which it fits in the crop."""
    flip_axes: tuple[Annotated[int, Field(ge=0, le=2)], ...] = (1,)
    """Spatial axes that are mirrored, each with probability 0.5; 1 is left-right in 2D."""
    quarter_turns: bool = False
    """Rotations by 90, 180 and 270 degrees, for images whose orientation is meaningless."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Maximum angle of rotation in degrees, of volumes around each axis. Boxes follow the outlines."""
    affine_probability: Probability = 1.0
    """Fraction of the crops that are rotated; as many, drawn apart, are zoomed by `scale`."""
    thick_axis: Literal[0, 1, 2] | None = None
    """Axis of thick slices: patches are rotated and zoomed within slices only; null does both in space."""
    elastic: Annotated[float, Field(ge=0)] = 0.0
    """Elastic deformation: standard deviation in pixels by which control points move, such as 10 for images
    (as in U-Net) and 4 for volumes (3D U-Net); at most 0.4 times their distance. 0 deforms nothing."""
    elastic_grid: Annotated[int, Field(ge=4)] = 32
    """Distance between these control points in pixels; 32 as in 3D U-Net."""
    elastic_probability: Probability = 0.2
    """Fraction of the crops that are deformed."""
    brightness: Probability = 0.125
    """Maximum shift of intensity, as a fraction of the full range."""
    contrast: Probability = 0.5
    """Maximum relative change of contrast."""
    saturation: Probability = 0.5
    """Maximum relative change of saturation; needs 3 channels."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Maximum rotation of the hue circle (1 is the whole circle); needs 3 channels."""
    gamma: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = None
    """Smallest and largest exponent of values scaled to 0..1, in 37 % of the crops; null changes none."""
    noise: Annotated[float, Field(ge=0)] = 0.0
    """Maximum variance of Gaussian noise, after normalisation, in 10 % of the crops."""
    blur: Annotated[float, Field(ge=0, le=5)] = 0.0
    """Maximum standard deviation of a Gaussian blur in pixels, of each channel in 10 % of the crops."""
    low_resolution: Part = 1.0
    """Smallest zoom at which each channel is sampled and enlarged again, in 12.5 % of the crops."""
    jpeg: Annotated[int, Field(ge=1, lt=100)] | None = None
    """For 8-bit images: lowest quality of JPEG compression, in half of the crops; null compresses none."""
    category_max_ratio: Annotated[float, Field(gt=0, le=1)] = 1.0
    """A crop is drawn again (up to 10 times) while one class fills more than this fraction of it."""
    foreground_probability: Probability = 0.0
    """Fraction of crops that are centred on a pixel of a rare class, drawn uniformly."""

    @field_validator("scale", "crop_area", "crop_aspect", "gamma")
    @classmethod
    def _smallest_first(cls, ends: tuple[float, float] | None, info: ValidationInfo) -> object:
        if ends is not None and ends[0] > ends[1]:
            raise ValueError(f"{info.field_name} is (smallest, largest)")
        return ends
