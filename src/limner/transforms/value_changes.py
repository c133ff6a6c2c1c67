"""Random changes of values of images and volumes: noise, blur, brightness, contrast, resolution, gamma.

Kinds, probabilities and order are those of nnU-Net (Isensee et al., Nature Methods 2021,
https://doi.org/10.1038/s41592-020-01008-z), also for images, for which others use the same kinds. All work
on normalised values, so that a setting means the same for images of 8 or 16 bits and for Hounsfield units.

What differs, and why: colours of a photograph and neighbouring slices are blurred alike, since they are taken
with one lens or scanner; images at a low resolution are enlarged linearly, as in MONAI, since splines of long
sides are slow to make.

Shape legend: S spatial axes, (H, W) or (D, H, W); C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.picture import Image
from limner.core.sample import Sample
from limner.transforms.resample_volume import nearest_along, resample_image
from limner.transforms.resize_array import as_dtype, resize_image

NOISE, BLUR, BRIGHTNESS, CONTRAST, RESOLUTION, INVERTED_GAMMA, GAMMA = 0.1, 0.2, 0.15, 0.15, 0.25, 0.1, 0.3
"""Fraction of the samples with each change, as in nnU-Net."""

BY_CHANNEL = 0.5
"""Fraction of the channels of such a sample that are blurred, or sampled at a lower resolution; of the
samples if all channels are changed alike."""

LEAST_BLUR = 0.5
"""Smallest standard deviation of a blur in pixels, as in nnU-Net; less changes nothing that can be seen."""

BLUR_REACH = 3.0
"""Number of standard deviations at which the Gaussian of a blur ends."""

Values = npt.NDArray[np.float32]
"""One channel (*S), contiguous."""


@dataclass(frozen=True)
class ValueChangesParams:
    """Parameters of `ValueChanges`; by default, nothing changes.

    Attributes:
        variance: Variance of the noise.
        seed: Seed of the noise.
        sigmas: Blur of each channel in pixels; 0 for none.
        brightness: Factor of all values.
        contrast: Factor of the distance from the mean of the sample.
        zooms: Resolution of each channel.
        inverted_gamma: Exponent of the values counted down from the largest one.
        gamma: Exponent of the values counted up from the smallest one.
    """

    variance: float = 0.0
    seed: int = 0
    sigmas: tuple[float, ...] = ()
    brightness: float = 1.0
    contrast: float = 1.0
    zooms: tuple[float, ...] = ()
    inverted_gamma: float = 1.0
    gamma: float = 1.0

    @property
    def is_noop(self) -> bool:
        """Whether they change nothing."""
        factors = (self.brightness, self.contrast, self.inverted_gamma, self.gamma, *self.zooms)
        return not self.variance and not any(self.sigmas) and all(factor == 1 for factor in factors)


@dataclass(frozen=True)
class ValueChanges:
    """Change the values of an image or a patch; labels stay as they are.

    Attributes:
        noise: Maximum variance of the noise.
        blur: Maximum standard deviation of the blur in pixels.
        brightness: Maximum relative change of all values.
        contrast: Maximum relative change of the distance from the mean.
        low_resolution: Smallest zoom at which a sample is taken.
        gamma: Smallest and largest exponent, or None.
        mean: Mean of each channel by which values are normalised.
        std: Standard deviation of each channel.
        by_channel: Whether blur and resolution are drawn for each channel by itself.
    """

    noise: float = 0.0
    blur: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    low_resolution: float = 1.0
    gamma: tuple[float, float] | None = None
    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)
    by_channel: bool = True

    @property
    def is_noop(self) -> bool:
        """Whether nothing ever changes."""
        amounts = (self.noise, self.blur, self.brightness, self.contrast)
        return not any(amounts) and self.low_resolution == 1 and self.gamma is None

    def draw(self, rng: np.random.Generator, sample: Sample) -> ValueChangesParams:
        """Draw the changes; the numbers drawn from `rng` do not depend on the values."""
        chances = (NOISE, BLUR, BRIGHTNESS, CONTRAST, RESOLUTION, INVERTED_GAMMA, GAMMA)
        noisy, blurred, bright, contrasted, coarse, inverted, curved = rng.random(7) < chances
        channels: int = sample.image.shape[-1]
        blurs = rng.uniform(min(LEAST_BLUR, self.blur), self.blur, channels)
        zooms = rng.uniform(self.low_resolution, 1, channels)
        chosen = rng.random((2, channels)) < BY_CHANNEL
        if not self.by_channel:
            blurs, zooms = np.full(channels, blurs[0]), np.full(channels, zooms[0])
            chosen = np.broadcast_to(chosen[:, :1], chosen.shape)
        low, high = self.gamma or (1.0, 1.0)
        return ValueChangesParams(
            variance=float(rng.uniform(0, self.noise)) if noisy else 0.0,
            seed=int(rng.integers(1 << 32)),
            sigmas=tuple(map(float, blurs * chosen[0])) if blurred and self.blur else (),
            brightness=_factor(rng, self.brightness, happens=bool(bright)),
            contrast=_factor(rng, self.contrast, happens=bool(contrasted)),
            zooms=tuple(map(float, np.where(chosen[1], zooms, 1))) if coarse else (),
            inverted_gamma=_exponent(rng, low, high) if inverted else 1.0,
            gamma=_exponent(rng, low, high) if curved else 1.0,
        )

    def apply(self, sample: Sample, params: ValueChangesParams) -> Sample:
        """Return the sample with its values changed, in their own type."""
        if params.is_noop:
            return sample
        image, spread = sample.image, np.float32(params.variance**0.5)
        units = (np.asarray(each, np.float32) for each in (self.mean, self.std))
        mean, std = (np.broadcast_to(each, image.shape[-1]) for each in units)
        noise = None
        if params.variance:
            noise = np.random.default_rng(params.seed).standard_normal(image.shape, np.float32)
        changed = np.empty(image.shape, image.dtype)
        for channel in range(image.shape[-1]):  # contiguous channels are several times as fast
            values: Values = image[..., channel].astype(np.float32, order="C")
            values -= mean[channel]
            values /= std[channel]
            if noise is not None:
                values += noise[..., channel] * spread
            values = _changed(values, params, channel)
            values *= std[channel]
            values += mean[channel]
            changed[..., channel] = as_dtype(values, image.dtype)
        return replace(sample, image=changed)


def _factor(rng: np.random.Generator, most: float, *, happens: bool) -> float:
    return float(rng.uniform(1 - most, 1 + most)) if happens else 1.0


def _exponent(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw below 1 and above 1 equally often."""
    below = low < 1 and (high <= 1 or rng.random() < 0.5)
    return float(rng.uniform(low, min(1.0, high)) if below else rng.uniform(max(1.0, low), high))


def _changed(values: Values, params: ValueChangesParams, channel: int) -> Values:
    """Return a channel with its changes but noise; `values` may be overwritten."""
    if params.sigmas and params.sigmas[channel]:
        values = _blurred(values, params.sigmas[channel])
    values *= np.float32(params.brightness)
    if params.contrast != 1:
        values = _contrasted(values, params.contrast)
    if params.zooms and params.zooms[channel] != 1:
        values = _sampled(values, params.zooms[channel])
    if params.inverted_gamma != 1:
        values = -_curved(-values, params.inverted_gamma)
    if params.gamma != 1:
        values = _curved(values, params.gamma)
    return values


def _blurred(values: Values, sigma: float) -> Values:
    """Return a channel under a Gaussian; beyond its edges, values are mirrored."""
    if values.ndim == 2:  # the same as SciPy's, by the faster function
        side = 2 * int(BLUR_REACH * sigma + 0.5) + 1
        return np.asarray(cv2.GaussianBlur(values, (side, side), sigma, borderType=cv2.BORDER_REFLECT))
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, sigma, truncate=BLUR_REACH))


def _contrasted(values: Values, factor: float) -> Values:
    """Stretch the values around their mean, within their range."""
    middle, low, high = values.mean(), values.min(), values.max()
    stretched: Values = np.clip((values - middle) * np.float32(factor) + middle, low, high)
    return stretched


def _sampled(values: Values, zoom: float) -> Values:
    """Take the nearest pixels at a lower resolution, and interpolate between them."""
    coarse = tuple(max(1, round(side * zoom)) for side in values.shape)
    if coarse == values.shape:
        return values
    small: Image = values
    for axis in range(values.ndim):
        small = nearest_along(small, coarse, axis)
    enlarge = resize_image if values.ndim == 2 else resample_image
    return enlarge(small[..., None], values.shape)[..., 0]


def _curved(values: Values, exponent: float) -> Values:
    """Apply a gamma curve, and restore mean and standard deviation."""
    mean, std, low = values.mean(), values.std(), values.min()
    span = values.max() - low
    if span == 0:
        return values
    curved: Values = np.power((values - low) / span, np.float32(exponent))
    curved -= curved.mean()
    curved *= std / curved.std()
    curved += mean
    return curved
