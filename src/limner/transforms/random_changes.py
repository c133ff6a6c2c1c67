"""A few random changes of colour and geometry, all of one strength.

Paper: RandAugment: Practical Automated Data Augmentation with a Reduced Search Space (Cubuk et al., NeurIPS
2020), https://arxiv.org/abs/1909.13719; the ranges are those of timm (Apache-2.0 licence), whose strength
from 0 to 10 is one from 0 to 1 here.

What differs, and why: changes that need 8 bits (posterize, solarize, equalize) are for such images only.

Shape legend: H, W image size, C channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from limner.core.picture import Image
from limner.core.sample import Sample
from limner.transforms.affine_map import Matrix, around_middle, moved_by, turned_around_middle
from limner.transforms.photometric import affine, colour_matrix
from limner.transforms.resize_array import as_dtype

MOST_DEGREES, MOST_SHEAR, MOST_SHIFT = 30.0, 0.3, 0.45
"""Largest rotation, shear, and shift as a part of the image's side."""

MOST_FACTOR = 0.9
"""Largest relative change of brightness, contrast, colour and sharpness."""


def _rotated(amount: float, shape: tuple[int, ...]) -> Matrix:
    return turned_around_middle(MOST_DEGREES * amount, shape)


def _sheared_x(amount: float, shape: tuple[int, ...]) -> Matrix:
    return around_middle(np.array([[1.0, MOST_SHEAR * amount], [0.0, 1.0]]), shape)


def _sheared_y(amount: float, shape: tuple[int, ...]) -> Matrix:
    return around_middle(np.array([[1.0, 0.0], [MOST_SHEAR * amount, 1.0]]), shape)


def _shifted_x(amount: float, shape: tuple[int, ...]) -> Matrix:
    return np.array([[1.0, 0.0, round(MOST_SHIFT * amount * shape[1])], [0.0, 1.0, 0.0]])


def _shifted_y(amount: float, shape: tuple[int, ...]) -> Matrix:
    return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, round(MOST_SHIFT * amount * shape[0])]])


def _brightened(image: Image, amount: float) -> Image:
    return affine(image, np.array([[1 + MOST_FACTOR * amount]]), 0.0)


def _contrasted(image: Image, amount: float) -> Image:
    factor = 1 + MOST_FACTOR * amount
    return affine(image, np.array([[factor]]), (1 - factor) * float(image.mean()))


def _coloured(image: Image, amount: float) -> Image:
    return affine(image, colour_matrix(1 + MOST_FACTOR * amount, 0.0), 0.0) if image.shape[-1] == 3 else image


def _sharpened(image: Image, amount: float) -> Image:
    smooth = np.asarray(cv2.blur(image.astype(np.float32), (3, 3))).reshape(image.shape)
    return as_dtype(smooth + (1 + MOST_FACTOR * amount) * (image - smooth), image.dtype)


def _stretched(image: Image, amount: float) -> Image:
    """Stretch each channel to the whole range of its values' type, or of the image."""
    low, high = image.min((0, 1)), image.max((0, 1))
    top = 255.0 if image.dtype == np.uint8 else float(image.max())
    span = np.maximum(high.astype(np.float64) - low, 1e-12)
    return as_dtype((image - low.astype(np.float64)) * (top / span), image.dtype)


def _posterized(image: Image, amount: float) -> Image:
    dropped = round(4 * abs(amount))
    return (image >> dropped) << dropped


def _solarized(image: Image, amount: float) -> Image:
    threshold = 256 - 256 * abs(amount)
    return np.where(image < threshold, image, 255 - image)


def _equalized(image: Image, amount: float) -> Image:
    channels = [cv2.equalizeHist(np.ascontiguousarray(image[..., c])) for c in range(image.shape[-1])]
    return np.stack(channels, -1)


GEOMETRIC: dict[str, Callable[[float, tuple[int, ...]], Matrix]] = {
    "rotate": _rotated,
    "shear x": _sheared_x,
    "shear y": _sheared_y,
    "shift x": _shifted_x,
    "shift y": _shifted_y,
}
"""Changes that move pixels: amount in [-1, 1], (H, W) -> where they go."""

COLOUR: dict[str, Callable[[Image, float], Image]] = {
    "brightness": _brightened,
    "contrast": _contrasted,
    "colour": _coloured,
    "sharpness": _sharpened,
    "stretch": _stretched,
    "posterize": _posterized,
    "solarize": _solarized,
    "equalize": _equalized,
}
"""Changes of values: image (H, W, C) and amount in [-1, 1] -> image."""

OF_BYTES = frozenset({"posterize", "solarize", "equalize"})
"""Changes for 8-bit images only."""


@dataclass(frozen=True)
class ChangesParams:
    """Parameters of `RandomChanges`: name and amount of each change, in order."""

    changes: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class RandomChanges:
    """Apply a number of changes, drawn with replacement, to 2D images.

    Attributes:
        number: How many.
        strength: Amount of each, in [0, 1]; its sign is drawn.
        fill: Value of pixels from outside the image, per channel or one for all.
    """

    number: int
    strength: float
    fill: Sequence[float] | float = 0.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> ChangesParams:
        """Draw the changes."""
        is_bytes = sample.image.dtype == np.uint8
        known = [name for name in (*GEOMETRIC, *COLOUR) if is_bytes or name not in OF_BYTES]
        names = [known[index] for index in rng.integers(len(known), size=self.number)]
        signs = np.where(rng.random(self.number) < 0.5, -1.0, 1.0)
        return ChangesParams(
            tuple((name, float(sign * self.strength)) for name, sign in zip(names, signs, strict=True))
        )

    def apply(self, sample: Sample, params: ChangesParams) -> Sample:
        """Apply the changes to the image, and those of geometry to its targets."""
        for name, amount in params.changes:
            if name in COLOUR:
                sample = replace(sample, image=COLOUR[name](sample.image, amount))
            else:
                sample = moved_by(sample, GEOMETRIC[name](amount, sample.spatial_shape), self.fill)
        return sample
