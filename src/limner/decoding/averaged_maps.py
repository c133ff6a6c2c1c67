"""The mean of several models' probabilities at each pixel.

Shape legend: K classes, *S spatial axes.
"""

from collections.abc import Iterator

import numpy as np

from limner.core.labels import LabelArray
from limner.decoding.probability_maps import Probabilities, empty_probabilities, most_probable


def averaged_label_map(parts: Iterator[Probabilities]) -> tuple[LabelArray, Probabilities]:
    """Return the most probable class of each pixel by the mean probabilities, and these.

    Two models' probabilities are held at once, however many there are.

    Args:
        parts: (K, *S) of each model, which are not changed.

    Returns:
        (*S) as in a `LabelMap`, and (K, *S) as of `empty_probabilities`.
    """
    first = next(parts)
    num_classes, *size = first.shape
    total = empty_probabilities(num_classes, tuple(size))
    total[:] = first
    for number, part in enumerate(parts, start=2):
        for row in range(size[0]):
            # The running mean stays in [0, 1], where float16 is exact to 0.0005.
            change = part[:, row].astype(np.float32) - total[:, row]
            total[:, row] += change / np.float32(number)
    return most_probable(total), total
