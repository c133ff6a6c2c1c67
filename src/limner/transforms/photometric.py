"""Brightness, contrast, saturation and hue, drawn together and applied in one pass.

Each of the four is an affine map of the colour, so all of them multiply into one 3x4 matrix: the pixels
are read once and rounded once, and uint8 stays uint8. The maps are those of YIQ: saturation moves a colour
towards or away from its own grey, hue turns it around the grey axis; both keep the luma. (mmsegmentation's
PhotoMetricDistortion, whose habit of changing each with probability one half is kept, takes HSV instead,
and a pass over the pixels for each of the four.)

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
"""How bright red, green and blue look (ITU-R BT.601)."""

TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""RGB to luma and two colour differences (NTSC 1953, as in Python's colorsys to three digits)."""

FROM_YIQ = np.linalg.inv(TO_YIQ)


@dataclass(frozen=True)
class PhotometricParams:
    """What one change of intensity and colour does.

    Attributes:
        gain: Factor of every value, counted from `black`.
        shift: Added to every value, in the values of the image.
        saturation: Factor of the distance from grey.
        hue: Turn of the hue circle, 1 is the whole circle.
        black: The value that `gain` leaves where it is.
    """

    gain: float = 1.0
    shift: float = 0.0
    saturation: float = 1.0
    hue: float = 0.0
    black: float = 0.0


@dataclass(frozen=True)
class Photometric:
    """Change brightness, contrast, saturation and hue, each with probability one half.

    Attributes:
        brightness: Largest shift, as a part of the range of values: 0..255 for uint8, what the sample
            itself spans for other types.
        contrast: Largest relative change of the gain: 0.5 draws from 0.5 to 1.5.
        saturation: Largest relative change of saturation; for 3 channels only.
        hue: Largest turn of the hue circle (1 is the whole circle); for 3 channels only.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def draw(self, rng: np.random.Generator, sample: Sample) -> PhotometricParams:
        """Draw the four changes; the same numbers are taken from `rng` whatever the image is."""
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
        """Return the sample with its image changed; labels stay."""
        if params == PhotometricParams(black=params.black):
            return sample
        matrix = np.array([[params.gain]])
        if params.saturation != 1 or params.hue != 0:
            matrix = params.gain * colour_matrix(params.saturation, params.hue)
        offset = params.shift + params.black * (1 - params.gain)
        return replace(sample, image=affine(sample.image, matrix, offset))


def colour_matrix(saturation: float, hue: float) -> npt.NDArray[np.float64]:
    """Return the 3x3 RGB matrix that multiplies saturation and turns hue, keeping luma and greys."""
    angle = 2 * pi * hue
    inner = np.eye(3)
    inner[1:, 1:] = saturation * np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    return FROM_YIQ @ inner @ TO_YIQ  # type: ignore[no-any-return]


def _range(image: Image) -> tuple[float, float]:
    """Return the values that count as black and white."""
    if image.dtype == np.uint8:
        return 0.0, 255.0
    # The top of uint16 says little: cameras store 10, 12 or 14 bits in it.
    black = 0.0 if np.issubdtype(image.dtype, np.unsignedinteger) else float(image.min())
    return black, float(image.max())


def affine(image: Image, matrix: npt.NDArray[np.float64], offset: float) -> Image:
    """Return ``matrix @ colour + offset`` for each pixel, rounded and kept in the range of the image's type.

    Args:
        image: (*S, C) of a type OpenCV knows; others are computed as float32.
        matrix: (C, C), or (1, 1) to treat every channel alike.
        offset: Added to every channel.
    """
    known = image.dtype in (np.uint8, np.uint16, np.float32)
    pixels = image if known else image.astype(np.float32)
    rows = np.hstack([matrix, np.full((len(matrix), 1), offset)])
    # One pass of OpenCV: three times the speed of its look-up table, and free of the 4-channel limit.
    mapped = np.asarray(cv2.transform(pixels.reshape(-1, 1, len(matrix)), rows)).reshape(image.shape)
    return mapped if known else as_dtype(mapped, image.dtype)
