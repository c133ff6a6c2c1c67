"""Measurements on one decoded image and one decoded mask.

Shape legend: H, W spatial sizes, C channels.
"""

from hashlib import sha1
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from limner.checks.facts import GRID, THUMBNAIL, Components, Grid, Intensity
from limner.checks.runs import Runs, cell_shares, cell_weights, pieces
from limner.core.labels import ValueMap
from limner.core.picture import Image

MAX_VALUES_KEPT = 512
"""Maximum number of values listed for a mask; a photograph has more, of which the most common are listed."""

MAX_COMPONENT_VALUES = 64
"""Masks with more values are noise or numbers of objects, so facts do not list their components."""

MIN_RUN = 2
"""Minimum mean number of equal pixels in a row of a mask of many values; a photograph has one or two."""

MAX_RESIZED_CHANNELS = 4
"""Maximum number of channels OpenCV resizes at once."""

MIN_GRID_SHARE = 0.02
"""Minimum share of an image for a value to get a grid of its own."""

_SAMPLE = 1_000_000
_FEW = 1000
_HALVED_ABOVE = 16 * THUMBNAIL


def digest(image: Image) -> str:
    """Return a digest of pixels, shape and type.

    SHA-1 suffices, as this is no protection against forgery, and processors have instructions for it: of the
    digests in Python's standard library it is the fastest.
    """
    whole = sha1(f"{image.shape}{image.dtype}".encode(), usedforsecurity=False)
    whole.update(np.ascontiguousarray(image).data)
    return whole.hexdigest()


def intensities(image: Image) -> tuple[Intensity, ...]:
    """Return the statistics of each channel of a (*spatial, C) image."""
    if image.dtype in (np.uint8, np.uint16):
        return tuple(_from_histogram(_histogram(image, c)) for c in range(image.shape[-1]))
    flat = image.reshape(-1, image.shape[-1])
    return tuple(_from_values(flat[:, c]) for c in range(flat.shape[1]))


def is_grey(image: Image) -> bool:
    """Return whether all channels are equal, judged on at most about a million pixels."""
    flat = image.reshape(-1, image.shape[-1])
    flat = flat[:: max(1, len(flat) // _SAMPLE)]
    few = flat[:: max(1, len(flat) // _FEW)]  # enough to recognise most colour images
    if (few != few[:, :1]).any():
        return False
    return all(bool((flat[:, c] == flat[:, 0]).all()) for c in range(1, flat.shape[1]))


def small_grey(image: Image, statistics: tuple[Intensity, ...]) -> npt.NDArray[np.float32]:
    """Return a (32, 32) float32 grey picture in [0, 1]; for a volume, of its middle slice.

    8-bit images are divided by 255; others have no known maximum, so they are stretched between their own
    0.5 and 99.5 percentiles.
    """
    while image.ndim > 3:
        image = image[image.shape[0] // 2]
    scales = [(0.0, 255.0)] if image.dtype == np.uint8 else [(s.low, s.high) for s in statistics]
    low, high = np.array([scales[min(c, len(scales) - 1)] for c in range(image.shape[-1])]).T
    spread = np.where(high > low, high - low, 1.0)
    return np.asarray(np.clip((_reduced(image) - low) / spread, 0, 1).mean(-1), np.float32)


def _reduced(image: Image) -> npt.NDArray[np.float32]:
    """Return (32, 32, C) means of equal cells."""
    if image.dtype not in (np.uint8, np.uint16, np.float32):
        image = image.astype(np.float32)
    if min(image.shape[:-1]) < THUMBNAIL or image.shape[-1] > MAX_RESIZED_CHANNELS:
        return np.stack([_reduced_plane(image[..., c]) for c in range(image.shape[-1])], -1)
    while _can_be_halved(image):  # four times as fast; each rounds up, by an eighth of a grey level
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    # All channels at once: splitting them costs more than resizing.
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(THUMBNAIL, THUMBNAIL, -1)


def _can_be_halved(image: Image) -> bool:
    """Tell whether halving leaves enough pixels for the cells."""
    sides = image.shape[:-1]
    is_even = all(side % 2 == 0 for side in sides)
    return image.dtype == np.uint8 and is_even and min(sides) >= _HALVED_ABOVE


def _reduced_plane(channel: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    if min(channel.shape) < THUMBNAIL:
        return area_means(channel, THUMBNAIL)
    small = cv2.resize(channel, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def area_means(plane: npt.NDArray[Any], side: int) -> npt.NDArray[np.float32]:
    """Return the (side, side) means of equal cells of a (H, W) plane; cell borders may split pixels."""
    rows, columns = (cell_weights(length, side).astype(np.float32) for length in plane.shape)
    return np.asarray(rows @ plane.astype(np.float32, copy=False) @ columns.T, np.float32)


def perceptual_hash(small: npt.NDArray[np.float32]) -> int:
    """Return 64 bits: which of the 64 lowest frequencies of a (32, 32) picture are above their median.

    The hash known as pHash: insensitive to scaling, recompression and brightness.
    """
    waves = cv2.dct(small)[:GRID, :GRID].ravel()
    # The constant wave is the brightness, which is not part of the median.
    bits = waves > np.median(waves[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def block_means(small: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """Return the (side, side) block means of a (32, 32) picture."""
    block = THUMBNAIL // side
    return np.asarray(small.reshape(side, block, side, block).mean((1, 3)), np.float32)


def thumbnail(small: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return the (32, 32) uint8 thumbnail of a (32, 32) picture in [0, 1]."""
    return np.rint(small * 255).astype(np.uint8)


def count_values(values: ValueMap, runs: Runs | None = None) -> tuple[dict[int, int], int]:
    """Return value -> pixels of the most common values, and the number of all values.

    Args:
        values: Mask values of any shape; may be empty.
        runs: Runs of the same values, if known, which are faster to count.
    """
    if runs is not None:
        found, counts = runs.pixels_of_values()
    elif values.dtype == np.uint8:
        counts = _histogram(values.reshape(len(values), -1, 1), 0) if values.size else np.zeros(256, np.int64)
        found = np.flatnonzero(counts)
        counts = counts[found]
    elif values.size and int(values.min()) >= 0 and int(values.max()) < 1 << 24:
        counts = np.bincount(values.ravel().astype(np.int64, copy=False))
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(values, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:MAX_VALUES_KEPT])
    return {int(found[i]): int(counts[i]) for i in kept}, len(found)


def components(runs: Runs | None, num_values: int) -> dict[int, Components]:
    """Return the connected components of each value of a mask; empty for volumes and for photographs."""
    if runs is None:
        return {}
    height, width = runs.shape
    is_drawn = MIN_RUN * len(runs.starts) <= height * width
    return pieces(runs) if num_values <= MAX_COMPONENT_VALUES or is_drawn else {}


def values_in_one_piece(found: dict[int, Components]) -> int | None:
    """Return the number of values other than 0 that form one piece, by `components`; None if it is empty."""
    return sum(part.count == 1 for value, part in found.items() if value) if found else None


def value_grids(values: ValueMap, runs: Runs | None, counts: dict[int, int]) -> dict[int, Grid]:
    """Return value -> (8, 8) share of each cell's pixels, for the common values of this image."""
    while values.ndim > 2:
        values = values[values.shape[0] // 2]
    floor = MIN_GRID_SHARE * sum(counts.values())
    common = [v for v, n in counts.items() if n >= floor]
    return cell_shares(runs or Runs.of(values), common, GRID)


def _histogram(image: Image, channel: int) -> npt.NDArray[np.int64]:
    """Count the values of one channel of an integer image; OpenCV releases the interpreter lock."""
    size = 256 if image.dtype == np.uint8 else 65536
    plane = image.reshape(image.shape[0], -1, image.shape[-1])
    return (
        np.asarray(cv2.calcHist([plane], [channel], None, [size], [0, size]), np.float64)
        .ravel()
        .astype(np.int64)
    )


def _from_histogram(counts: npt.NDArray[np.int64]) -> Intensity:
    values = np.arange(len(counts), dtype=np.float64)
    total = counts.sum()
    mean = float(counts @ values / total)
    # Two passes, since a one-pass variance of 16-bit values loses precision.
    std = float(np.sqrt(counts @ (values - mean) ** 2 / total))
    found = np.flatnonzero(counts)
    low, high = np.searchsorted(np.cumsum(counts), [0.005 * total, 0.995 * total])
    return Intensity(float(found[0]), float(found[-1]), mean, std, float(low), float(high))


def _from_values(values: npt.NDArray[Any]) -> Intensity:
    mean = float(values.mean(dtype=np.float64))
    # In parts: the squares of a volume of float32 would take several times its memory.
    parts = np.array_split(values, max(1, len(values) // _SAMPLE))
    squares = sum(float(np.square(part.astype(np.float64) - mean).sum()) for part in parts)
    low, high = np.percentile(values[:: max(1, len(values) // _SAMPLE)].astype(np.float64), [0.5, 99.5])
    return Intensity(
        float(values.min()),
        float(values.max()),
        mean,
        float(np.sqrt(squares / len(values))),
        float(low),
        float(high),
    )
