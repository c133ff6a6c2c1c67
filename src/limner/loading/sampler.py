"""Endless shuffled order of the images, a function of the seed.

A slot is a position in this order: slot = (step * num_replicas + replica) * batch_size + position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from limner.core.errors import ConfigError
from limner.core.randomness import generator


@dataclass(frozen=True)
class ShuffledOrder:
    """Endless, stateless order with every image once per epoch, reshuffled for each epoch.

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


@dataclass(frozen=True)
class BalancedOrder:
    """Endless, stateless order with every class once per round, in a new random order in each round.

    The images of a class are used in turn, and reshuffled once all of them were used.

    Attributes:
        members: Indices of the images of each class; none is empty.
        seed: The run's seed.
    """

    members: tuple[tuple[int, ...], ...]
    seed: int

    def index_of(self, slot: int) -> int:
        """Return the index of the image at `slot`."""
        turn, position = divmod(slot, len(self.members))
        number = int(_permutation(self.seed, turn, len(self.members), "classes")[position])
        images = self.members[number]
        epoch, place = divmod(turn, len(images))
        return images[int(_permutation(self.seed, epoch, len(images), f"class {number}")[place])]


def training_order(
    labels: Sequence[int | None], *, seed: int, balanced: bool
) -> ShuffledOrder | BalancedOrder:
    """Return the order of the training images.

    Args:
        labels: Class of each image as a whole, or None.
        seed: The run's seed.
        balanced: Whether each class is used equally often, instead of each image.

    Raises:
        ConfigError: The classes of whole images are to be balanced, and an image has none.
    """
    if not balanced:
        return ShuffledOrder(len(labels), seed)
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        if label is None:
            raise ConfigError(
                "train.balanced=true needs images with one class each, as of the classification task; set it "
                "to false, or balance the losses with loss.class_weights."
            )
        members.setdefault(label, []).append(index)
    return BalancedOrder(tuple(tuple(members[label]) for label in sorted(members)), seed)


@lru_cache(maxsize=4096)
def _permutation(seed: int, epoch: int, num_samples: int, what: str = "order") -> npt.NDArray[np.int64]:
    return generator(seed, what, epoch).permutation(num_samples)
