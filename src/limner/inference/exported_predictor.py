"""Prediction with an exported file, without PyTorch.

Shape legend: C channels, *S spatial axes.
"""

from pathlib import Path
from typing import Any

import numpy as np

from limner.core.picture import PLAIN, Geometry, Image, Picture
from limner.core.plan import InferencePlan, Plan
from limner.decoding.network_arrays import NamedArrays
from limner.inference.array_runs import ImageArrayRuns, smoothly_resized
from limner.inference.seen_image import SeenImage, given_image, refuse_other_window, seen_image
from limner.inference.view_rules import ViewRules
from limner.tasks import find_task
from limner.tasks.task import Task
from limner.transforms.fit_values import ValueRange
from limner.transforms.fitted_size import fitted_size
from limner.transforms.reduced_size import ReducedSize, reduced_size
from limner.transforms.turn import UNTURNED
from limner.weights.exported import RUNTIMES, ExportCard, open_export
from limner.weights.model_settings import read_model_settings

DEVICES = ("auto", "cpu")
"""Devices on which exported files run."""


def needs_torch(card: ExportCard, plan: Plan) -> str | None:
    """Return why an export cannot be predicted with `ExportedPredictor`, or None.

    Args:
        card: Description of the export.
        plan: Plan of its model.
    """
    task = find_task(plan.task)
    runtime = RUNTIMES.get(card.runtime)
    if runtime is not None and runtime.needs_torch:
        return f"an export to {runtime.title}"
    if card.kind not in task.array_kinds:
        return f"an export of {task.title} ({card.kind})"
    return "an export of a network for slices of volumes" if plan.input.slice_axis is not None else None


class ExportedPredictor:
    """Predicts images one by one with an exported file, on the CPU.

    The predictions are those of `Predictor` with the same file, but neither PyTorch nor the network is
    needed, and it starts faster. Only for exports for which `needs_torch` gives no reason.

    Args:
        folder: The folder of the export.
        card: Its description, verified.
        settings: Size, window, overlap, flips and scales. Defaults to the plan's.
        value_range: As of `Predictor`.

    Raises:
        ModelError: The file cannot be opened.
        MissingPartError: Its runtime is not installed.
        ConfigError: The settings do not suit the model.
    """

    device = "cpu"
    """The device, in words."""

    precision = "float32"
    """Precision of the images; that of the computation is in the file."""

    def __init__(
        self,
        folder: Path,
        card: ExportCard,
        *,
        settings: InferencePlan | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        self.value_range, self.card = value_range, card
        self.plan, self.labels = read_model_settings(folder)
        self.settings = settings or self.plan.inference
        refuse_other_window(self.settings, self.plan)
        self._run = open_export(folder, card)

    @property
    def task(self) -> Task:
        """The model's task."""
        return find_task(self.plan.task)

    @property
    def weights_hash(self) -> str:
        """A hash of the file."""
        return self.card.sha256[self.card.file]

    @property
    def reduce(self) -> ReducedSize | None:
        """How much smaller JPEGs are decoded before they are predicted; None decodes them at full size."""
        return reduced_size(self.plan.input, self.plan.resize_for(self.settings))

    def share_cores(self, processes: int = 1) -> None:
        """Do nothing: runtimes do not change their number of threads while they run."""

    def predict(
        self,
        image: Image | Picture | Path | str,
        *,
        name: str | None = None,
        probabilities: bool = False,
        geometry: Geometry = PLAIN,
        stored_dtype: str = "",
    ) -> Any:  # noqa: ANN401 - the prediction of the model's task
        """Predict one image; for the arguments, result and errors, see `Predictor.predict`."""
        given = given_image(image, geometry, name, stored_dtype, self.reduce)
        self.task.refuse_unsuitable(self.card.kind, self.settings, probabilities=probabilities)
        seen = seen_image(
            given.array,
            self.plan,
            geometry=given.geometry,
            value_range=self.value_range,
            where=given.where,
            stored_dtype=given.stored_dtype,
            reduction=given.reduction,
        )
        found = self.task.predict_arrays(
            self._runs(seen), name=given.name, labels=self.labels, probabilities=probabilities
        )
        return found if seen.turn == UNTURNED else self.task.turned_back(found, seen.turn)

    def outputs(self, images: Image) -> NamedArrays:
        """Run the file on images (1, C, *S) float32 in file values; returns the outputs by name."""
        names, arrays = self.card.outputs, self._run(images)
        return {name: array.astype(np.float32, copy=False) for name, array in zip(names, arrays, strict=True)}

    def _runs(self, seen: SeenImage) -> ImageArrayRuns:
        image = np.moveaxis(seen.values, -1, 0)[np.newaxis]
        resize = self.plan.resize_for(self.settings)
        if not resize.is_noop or seen.reduction > 1:
            height, width = image.shape[2:]
            size = fitted_size(height * seen.reduction, width * seen.reduction, resize)
            image = image if size == (height, width) else smoothly_resized(image, size)
        rules = ViewRules(self.plan, self.settings)
        return ImageArrayRuns(self.outputs, self.card.kind, image, seen.size, rules, seen.where)
