"""FROC: the fraction of objects found, for a tolerated number of false ones in an image.

Used where an image has few objects and none may be missed, as lesions in medical images. The numbers of false
objects, and the mean over them, are those of the LUNA16 challenge (Setio et al., Medical Image Analysis 2017,
https://arxiv.org/abs/1612.08012); an object is found at an IoU of 0.5, as in DeepLesion (Yan et al., 2018,
https://arxiv.org/abs/1710.01766).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FALSE_POSITIVES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Tolerated numbers of false objects in an image, on average."""


@dataclass(frozen=True)
class Froc:
    """The curve at a few points, all classes pooled; NaN if there is no true object.

    Attributes:
        sensitivities: Fraction of the true objects that are found with each number of `FALSE_POSITIVES`.
    """

    sensitivities: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of the sensitivities."""
        return float(np.mean(self.sensitivities))

    def rows(self) -> list[dict[str, float]]:
        """Return one row for each number of false objects."""
        pairs = zip(FALSE_POSITIVES, self.sensitivities, strict=True)
        return [{"false_positives": number, "sensitivity": value} for number, value in pairs]


def compute_froc(
    is_right: npt.NDArray[np.bool_], is_wrong: npt.NDArray[np.bool_], *, num_true: int, num_images: int
) -> Froc:
    """Compute the curve.

    Args:
        is_right: (N,) whether each found object of all images matches a true one; highest score first.
        is_wrong: (N,) whether it is false; objects that are neither do not count.
        num_true: Number of true objects.
        num_images: Number of images, including those without any object.
    """
    if not num_true:
        return Froc((float("nan"),) * len(FALSE_POSITIVES))
    found = np.r_[0, np.cumsum(is_right)]
    false = np.r_[0, np.cumsum(is_wrong)]
    # The last place at which there are no more false ones than tolerated.
    places = [np.searchsorted(false, number * num_images, side="right") - 1 for number in FALSE_POSITIVES]
    return Froc(tuple(float(found[place] / num_true) for place in places))
