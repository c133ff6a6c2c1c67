"""Predictions: what a model says about one image, at the image's own size."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from limner.core.sample import LabelMap


@dataclass(frozen=True)
class Prediction:
    """What a model says about one image.

    Attributes:
        name: The record's or file's name.
        semantic: (*spatial) uint8 trained labels 0..K-1 at the image's original size.
        probabilities: (K, *spatial) float32 that sum to 1 over K, or None where nobody asked.
    """

    name: str
    semantic: LabelMap
    probabilities: npt.NDArray[np.float32] | None = None
