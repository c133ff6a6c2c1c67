"""How far a pooled score may be off by the choice of images: the bootstrap, as images stream by.

The textbook draws as many images as there are, with replacement, again and again; it needs all of them at
hand. Here each image enters each repetition as often as a Poisson draw of mean 1 says, which comes to the
same for more than a few images (Oza and Russell, 2001) and needs only running sums. The draws of an image
depend on its name alone, so that workers can share the images in any way.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator

REPLICATES = 1000
"""Repetitions: enough for two digits of an interval's ends."""


class PoissonBootstrap:
    """Sums of counts, each image as often as drawn.

    Args:
        shape: Of the counts of one image.
        dtype: Of the counts; those of panoptic quality hold sums of IoUs.
        replicates: Number of repetitions.
        seed: Of the draws.
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
            name: Of the image, unique in the dataset.
            counts: Its counts, of the shape given.
        """
        weights = generator(self._seed, f"bootstrap/{name}").poisson(1.0, len(self.sums))
        self.sums += weights.reshape(-1, *(1 for _ in counts.shape)) * counts

    def merge(self, other: "PoissonBootstrap") -> None:
        """Add what another with the same seed has drawn of other images."""
        assert self._seed == other._seed
        self.sums += other.sums
