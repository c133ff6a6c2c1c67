"""Random brightness, contrast, saturation and hue, applied in one pass.

All four are affine maps of colour, so they are combined into one 3x4 matrix: pixels are read once and rounded
once, and uint8 stays uint8. Saturation and hue are changed in YIQ: saturation moves a colour towards or away
from its grey, hue rotates it around the grey axis; both preserve luma. As in mmsegmentation's
PhotoMetricDistortion, each change has probability 0.5; that transform uses HSV, with one pass per change.

Shape legend: S spatial axes, C channels.
"""

from dataclasses import dataclass, replace
from math import cos, pi, sin

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.picture import Image
from limner.core.sample import Sample
from limner.transforms.resize_array import as_dtype

LUMA = np.array([0.299, 0.587, 0.114])
"""Luma coefficients of red, green and blue (ITU-R BT.601)."""

TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""RGB to luma and two colour differences (NTSC 1953, as in Python's colorsys to three digits)."""

FROM_YIQ = np.linalg.inv(TO_YIQ)


@dataclass(frozen=True)
class PhotometricParams:
    """Parameters of `Photometric`.

    Attributes:
        gain: Factor of every value, relative to `black`.
        shift: Offset added to every value, in image values.
        saturation: Factor of the distance from grey.
        hue: Rotation of the hue circle; 1 is the whole circle.
        black: The value that `gain` does not change.
    """

    gain: float = 1.0
    shift: float = 0.0
    saturation: float = 1.0
    hue: float = 0.0
    black: float = 0.0


@dataclass(frozen=True)
class Photometric:
    """Change brightness, contrast, saturation and hue, each with probability 0.5.

    Attributes:
        brightness: Maximum shift, as a fraction of the value range: 0..255 for uint8, the range of the
            sample for other types.
        contrast: Maximum relative change of the gain: 0.5 draws from 0.5 to 1.5.
        saturation: Maximum relative change of saturation; only for 3 channels.
        hue: Maximum rotation of the hue circle (1 is the whole circle); only for 3 channels.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> PhotometricParams:
        """Draw the four changes; the numbers drawn from `rng` do not depend on the image."""
        happens = rng.random(4) < 0.5
        brightness, contrast, saturation, hue = rng.uniform(-1, 1, 4) * happens
        black, white = _range(sample.image)
        colour = sample.image.shape[-1] == 3
        return PhotometricParams(
            gain=float(1 + self.contrast * contrast),
            shift=float(self.brightness * brightness * (white - black)),
            saturation=float(1 + self.saturation * saturation) if colour else 1.0,
            hue=float(self.hue * hue) if colour else 0.0,
            black=black,
        )

    def apply(self, sample: Sample, params: PhotometricParams) -> Sample:
        """Return the sample with its image changed and its labels unchanged."""
        if params == PhotometricParams(black=params.black):
            return sample
        matrix = np.array([[params.gain]])
        if params.saturation != 1 or params.hue != 0:
            matrix = params.gain * colour_matrix(params.saturation, params.hue)
        offset = params.shift + params.black * (1 - params.gain)
        return replace(sample, image=affine(sample.image, matrix, offset))


def colour_matrix(saturation: float, hue: float) -> npt.NDArray[np.float64]:
    """Return the 3x3 RGB matrix that scales saturation and rotates hue, preserving luma and greys."""
    angle = 2 * pi * hue
    inner = np.eye(3)
    inner[1:, 1:] = saturation * np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    return FROM_YIQ @ inner @ TO_YIQ  # type: ignore[no-any-return]


def _range(image: Image) -> tuple[float, float]:
    """Return the values of black and white."""
    if image.dtype == np.uint8:
        return 0.0, 255.0
    # The maximum of uint16 is not meaningful: cameras store 10, 12 or 14 bits in it.
    black = 0.0 if np.issubdtype(image.dtype, np.unsignedinteger) else float(image.min())
    return black, float(image.max())


def affine(image: Image, matrix: npt.NDArray[np.float64], offset: float) -> Image:
    """Return ``matrix @ colour + offset`` for each pixel, rounded and clipped to the range of its type.

    Args:
        image: (*S, C); types that OpenCV does not support are computed as float32.
        matrix: (C, C), or (1, 1) for all channels.
        offset: Added to every channel.
    """
    known = image.dtype in (np.uint8, np.uint16, np.float32)
    pixels = image if known else image.astype(np.float32)
    rows = np.hstack([matrix, np.full((len(matrix), 1), offset)])
    # cv2.transform is three times as fast as cv2.LUT; with (1, 1) it has no limit of 4 channels.
    mapped = np.asarray(cv2.transform(pixels.reshape(-1, 1, len(matrix)), rows)).reshape(image.shape)
    return mapped if known else as_dtype(mapped, image.dtype)
