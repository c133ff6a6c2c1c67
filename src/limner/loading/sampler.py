"""Endless shuffled order of the images, a function of the seed.

A slot is a position in this order: slot = (step * num_replicas + replica) * batch_size + position.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from limner.core.randomness import generator


@dataclass(frozen=True)
class ShuffledOrder:
    """Endless, stateless order with every image once per epoch, shuffled anew for each epoch.

    Attributes:
        num_samples: Number of images in the dataset.
        seed: The run's seed.
    """

    num_samples: int
    seed: int

    def index_of(self, slot: int) -> int:
        """Return the index of the image at `slot`."""
        epoch, position = divmod(slot, self.num_samples)
        return int(_permutation(self.seed, epoch, self.num_samples)[position])


@lru_cache(maxsize=8)
def _permutation(seed: int, epoch: int, num_samples: int) -> npt.NDArray[np.int64]:
    return generator(seed, "order", epoch).permutation(num_samples)
