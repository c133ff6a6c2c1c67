"""Streaming bootstrap: the uncertainty of a pooled score due to the choice of images.

The standard bootstrap resamples all images with replacement, many times, so it needs all of them at once.
Here each image is counted in each replicate with a weight drawn from a Poisson distribution of mean 1, which
is equivalent for more than a few images (Oza and Russell, 2001) and needs only running sums. The weights of
an image depend only on its name, so workers can share the images in any way.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator

REPLICATES = 1000
"""Number of replicates: enough for two digits of an interval's bounds."""

FEW = 0.25
"""Part of the counts of an image below which only those that are not zero are added, which is faster then."""


class PoissonBootstrap:
    """Running sums of counts, weighted by how often each replicate draws an image.

    Args:
        shape: Shape of the counts of one image.
        dtype: Type of the counts; those of panoptic quality include sums of IoUs.
        replicates: Number of replicates.
        seed: Random seed.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        dtype: npt.DTypeLike = np.int64,
        replicates: int = REPLICATES,
        seed: int = 0,
    ) -> None:
        self.sums: npt.NDArray[Any] = np.zeros((replicates, *shape), dtype)
        self._seed = seed

    def update(self, name: str, counts: npt.NDArray[Any]) -> None:
        """Add one image.

        Args:
            name: Name of the image, unique in the dataset.
            counts: Its counts.
        """
        weights = weights_of(name, len(self.sums), seed=self._seed)
        sums, counts = self.sums.reshape(len(self.sums), -1), counts.reshape(-1)
        places = np.flatnonzero(counts)  # an image has few of many classes
        where: npt.NDArray[np.intp] | slice = places if len(places) < FEW * len(counts) else slice(None)
        sums[:, where] += weights[:, None] * counts[where]

    def merge(self, other: "PoissonBootstrap") -> None:
        """Add the sums of another instance with the same seed and other images."""
        assert self._seed == other._seed
        self.sums += other.sums


def weights_of(name: str, replicates: int = REPLICATES, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return (replicates,) how often each replicate draws an image.

    Args:
        name: Name of the image, unique in the dataset.
        replicates: Number of replicates.
        seed: Random seed.
    """
    return generator(seed, f"bootstrap/{name}").poisson(1.0, replicates)


def weights_of_images(
    names: Sequence[str], replicates: int = REPLICATES, *, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """Return (replicates, images) how often each replicate draws each image, in one byte each.

    Args:
        names: Names of the images, unique in the dataset.
        replicates: Number of replicates.
        seed: Random seed.
    """
    # That a replicate draws an image 256 times never happens.
    weights: npt.NDArray[np.uint8] = np.empty((len(names), replicates), np.uint8)
    for row, name in zip(weights, names, strict=True):
        row[:] = weights_of(name, replicates, seed=seed)
    return np.transpose(weights)
