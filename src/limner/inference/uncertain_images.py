"""Which images to label next: those that a model is unsure of and that differ from each other.

Shape legend: N images, F features, H, W image size, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from torch import nn

from limner.core.errors import ConfigError
from limner.core.picture import Picture
from limner.drawing.display import display_image
from limner.inference.deep_features import DeepFeatures
from limner.inference.ensemble import Ensemble
from limner.inference.exported_predictor import ExportedPredictor
from limner.inference.open_predictor import AnyPredictor

POOL = 4
"""Candidates for each chosen image, the most uncertain ones: variety without leaving the uncertain images."""

FEATURES = 64
"""Random projections that stand for the features of an image: distances are kept to about a tenth."""

THUMBNAIL = 8
"""Side of the grey thumbnail that stands for an image where the network has no feature maps."""


@dataclass(frozen=True)
class MeasuredImage:
    """The measurements of one image.

    Attributes:
        uncertainty: In [0, 1].
        features: (F,) with a length of 1.
        layer: Layer of the network that they are of; None for those of a thumbnail.
    """

    uncertainty: float
    features: tuple[float, ...]
    layer: str | None = None

    def to_json(self) -> list[Any]:
        """Return it as JSON-ready values, for `from_json`."""
        return [round(self.uncertainty, 6), [round(value, 4) for value in self.features], self.layer]

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> "MeasuredImage":
        """Return the measurements of `to_json`.

        Raises:
            ValueError: There are more values or fewer, as in files of older versions.
        """
        uncertainty, features, layer = values
        return cls(float(uncertainty), tuple(features), layer)


class UncertaintyProbe:
    """Predicts images, and measures how unsure the model is of each.

    Args:
        predictor: The model.

    Raises:
        ConfigError: The model predicts volumes, or its task has no measure.
    """

    def __init__(self, predictor: AnyPredictor) -> None:
        task = predictor.task
        if not task.uncertainty_words:
            raise ConfigError(
                f"--uncertain has no measure for the task {task.name!r} yet. Omit it, or use a model of "
                "label maps, objects, boxes or classes of whole images."
            )
        if predictor.plan.input.takes_volumes:
            raise ConfigError("--uncertain is for images; this model predicts volumes. Omit it.")
        self._predictor = predictor
        self._features = DeepFeatures(_network_of(predictor))

    def resume(self, measured: MeasuredImage) -> None:
        """Measure by the layer of an image that was measured before an interruption."""
        self._features.choose(measured.layer)

    @property
    def words(self) -> str:
        """What was used, in words."""
        layer = self._features.layer
        by = "grey thumbnails" if layer is None else f"the features of the layer {layer}"
        return (
            f"The uncertainty of an image is {self._predictor.task.uncertainty_words}; images differ by {by}"
        )

    def predict(self, picture: Picture, *, name: str, probabilities: bool) -> tuple[Any, MeasuredImage]:
        """Predict an image, and measure it.

        Args:
            picture: The image.
            name: Its name.
            probabilities: Whether the caller needs probabilities.
        """
        predictor = self._predictor
        task = predictor.task
        with self._features.watch() as runs:
            prediction = predictor.predict(
                picture,
                name=name,
                probabilities=probabilities or not task.compares_views,
            )
        other = None
        if task.compares_views:
            mirrored = np.ascontiguousarray(picture.array[:, ::-1])
            other = predictor.predict(Picture(mirrored, reduction=picture.reduction), name=name)
        vector = np.mean(runs, 0) if runs else _thumbnail(picture)
        uncertainty = task.uncertainty(prediction, other)
        return prediction, MeasuredImage(uncertainty, _projected(vector), self._features.layer)


def _network_of(predictor: AnyPredictor) -> nn.Module:
    """Return the network whose layers are watched, of several models the first; exported files have none."""
    if isinstance(predictor, ExportedPredictor):
        return nn.Identity()
    first = predictor.members[0] if isinstance(predictor, Ensemble) else predictor
    return first.running_model.network


def _projected(vector: npt.NDArray[Any]) -> tuple[float, ...]:
    """Return random projections (F,) of a vector, scaled to a length of 1; the same ones for each image."""
    found = _projection(vector.size) @ np.nan_to_num(vector.astype(np.float64)).ravel()
    return tuple((found / max(float(np.linalg.norm(found)), 1e-12)).tolist())


@lru_cache(maxsize=1)
def _projection(size: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(0).standard_normal((FEATURES, size))


def _thumbnail(picture: Picture) -> npt.NDArray[Any]:
    small = cv2.resize(display_image(picture.array), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    grey: npt.NDArray[Any] = np.asarray(small, np.float32).mean(-1)
    return grey


@dataclass(frozen=True)
class ChosenImage:
    """An image to label next.

    Attributes:
        index: Its place among the measured images.
        distance: Distance of its features to the nearest image chosen before; None for the first.
    """

    index: int
    distance: float | None


def choose_next(measured: Sequence[MeasuredImage], count: int) -> list[ChosenImage]:
    """Return the images to label next, the first the most uncertain one.

    Of the most uncertain ones, `POOL` times as many as asked for, each next one is the farthest from those
    chosen before: the greedy solution of the k-center problem (Sener and Savarese, ICLR 2018).

    Args:
        measured: The images.
        count: Number of images, 1 or more; fewer if there are not as many.
    """
    order = sorted(range(len(measured)), key=lambda index: -measured[index].uncertainty)
    pool = order[: POOL * count]
    if not pool:
        return []
    features = np.array([measured[index].features for index in pool])
    chosen = [ChosenImage(pool[0], None)]
    nearest = np.linalg.norm(features - features[0], axis=1)
    nearest[0] = -1
    while len(chosen) < min(count, len(pool)):
        place = int(nearest.argmax())  # the most uncertain of equals
        chosen.append(ChosenImage(pool[place], float(nearest[place])))
        nearest = np.minimum(nearest, np.linalg.norm(features - features[place], axis=1))
        nearest[place] = -1
    return chosen
