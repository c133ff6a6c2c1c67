"""Prediction of images at their original size.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner.core.errors import ConfigError, DataError
from limner.core.labels import LabelArray, LabelTable
from limner.core.low_resolution_labels import LowResolutionLabels
from limner.core.outputs import OutputKind
from limner.core.picture import PLAIN, Geometry, Image, Picture
from limner.core.plan import InferencePlan, Plan
from limner.core.prediction import Prediction
from limner.core.sample import Sample
from limner.decoding.network_runs import NetworkRuns
from limner.devices.device import choose_device
from limner.devices.memory import is_out_of_memory
from limner.devices.precision import fast_precision, precision_context
from limner.devices.threads import ThreadCount
from limner.inference.fitted_images import fit_images
from limner.inference.image_runs import ImageRuns
from limner.inference.low_resolution import as_seen
from limner.inference.predicted_slices import SliceRuns
from limner.inference.seen_image import SeenImage, fitted_image, given_image, refuse_other_window, seen_image
from limner.inference.view_rules import too_large
from limner.layers.fast_prediction import for_prediction
from limner.tasks import find_task
from limner.tasks.task import Task
from limner.transforms.add_low_resolution import class_channels, with_channels
from limner.transforms.fit_values import ValueRange
from limner.transforms.reduced_size import ReducedSize, reduced_size
from limner.transforms.turn import UNTURNED
from limner.weights.model import Model
from limner.weights.tensors import tensors_hash


class Predictor:
    """Predicts images one by one.

    Args:
        model: The model, which is moved to the device.
        device: ``auto`` is the accelerator if available, else the CPU.
        precision: ``float32``, ``bfloat16`` or ``float16``. Defaults to the training's precision if the
            device is fast in it, else float32.
        settings: Size, window, overlap, flips and scales. Defaults to the model's plan.
        value_range: The images' values from low to high are mapped to the training's range. By default,
            images of another pixel type or range than the training's are refused.
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str | torch.device = "auto",
        precision: str | None = None,
        settings: InferencePlan | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        self.value_range = value_range
        self.device = device if isinstance(device, torch.device) else choose_device(device)
        self.precision = precision or fast_precision(self.device, model.plan.train.precision)
        self.settings = settings or model.plan.inference
        refuse_other_window(self.settings, model.plan)
        self.model = model.to(self.device)
        self._threads: ThreadCount | None = None
        self._is_sped_up = False
        self._faster: tuple[object, Model] | None = None
        stage = model.low_resolution
        self._first_stage: Predictor | None = None
        if stage is not None:
            self._first_stage = Predictor(
                stage, device=self.device, precision=precision, value_range=value_range
            )

    def speed_up(self) -> None:
        """From now on predict in float32 with a copy of the network that is faster, see `for_prediction`.

        Scores stay the same up to rounding. `model` itself is not changed; if its weights are, the next
        prediction makes the copy again.
        """
        self._is_sped_up = True
        if self._first_stage is not None:
            self._first_stage.speed_up()

    @property
    def running_model(self) -> Model:
        """The model that is run: `model`, or its copy for prediction."""
        if not self._is_sped_up or self.precision != "float32":
            return self.model
        tensors = (*self.model.parameters(), *self.model.buffers())
        state = [(id(t), t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors]
        if self._faster is None or self._faster[0] != state:
            with torch.inference_mode(False):
                self._faster = state, for_prediction(self.model)
        return self._faster[1]

    def share_cores(self, processes: int = 1) -> None:
        """From now on compute with as many threads as other programs leave cores free; only on a CPU.

        For commands that predict many images: the number of threads is that of the whole process.

        Args:
            processes: Number of processes that predict at the same time, among which the cores are divided.
        """
        if self.device.type == "cpu" and self._threads is None:
            self._threads = ThreadCount(processes=processes)

    @cached_property
    def weights_hash(self) -> str:
        """A hash of the weights, as they were when it was first asked for."""
        own = tensors_hash(self.model.state_dict())
        return own if self._first_stage is None else f"{self._first_stage.weights_hash}{own}"

    @property
    def labels(self) -> LabelTable:
        """The classes of the trained labels in predictions."""
        return self.model.labels

    @property
    def task(self) -> Task:
        """The model's task."""
        return find_task(self.plan.task)

    @property
    def kind(self) -> OutputKind:
        """The kind of output of the network."""
        return self.task.output_kind(self.plan.loss)

    @property
    def plan(self) -> Plan:
        """The plan of the run that trained the model."""
        return self.model.plan

    @property
    def reduce(self) -> ReducedSize | None:
        """How much smaller JPEGs are decoded before they are predicted; None decodes them at full size."""
        return reduced_size(self.plan.input, self.plan.resize_for(self.settings))

    def predict(
        self,
        image: Image | Picture | Path | str,
        *,
        name: str | None = None,
        probabilities: bool = False,
        geometry: Geometry = PLAIN,
        low_resolution: LabelArray | None = None,
        stored_dtype: str = "",
    ) -> Any:  # noqa: ANN401 - the prediction of the model's task
        """Predict one image.

        Args:
            image: A file, a picture, or an array (*spatial, C) or (*spatial) in file values.
            name: Name of the prediction. Defaults to the file's name without suffix.
            probabilities: Whether to return class probabilities too; for label maps only.
            geometry: Position of the voxels of an array, by which volumes are turned to the training's
                orientation. Files and pictures have their own.
            low_resolution: (*spatial) what the first stage of a cascade predicts, if it is known already.
            stored_dtype: Name of the type of an array's values in its file, such as ``int16``, for messages.

        Returns:
            The `Prediction` of the model's task, such as `SemanticPrediction`.

        Raises:
            ConfigError: The task does not support windows, mirrored views, zooms or probabilities.
            DataError: The file cannot be read, or the image does not match the model's input.
        """
        given = given_image(image, geometry, name, stored_dtype, self.reduce)
        self._refuse_unsuitable(probabilities)
        seen = self.prepare(
            given.array,
            given.geometry,
            where=given.where,
            low_resolution=low_resolution,
            stored_dtype=given.stored_dtype,
            reduction=given.reduction,
        )
        found = self._predict(seen, given.name, probabilities=probabilities)
        return found if seen.turn == UNTURNED else self.task.turned_back(found, seen.turn)

    def predict_sample(self, sample: Sample) -> Any:  # noqa: ANN401 - the prediction of the model's task
        """Predict the image of a sample; `LowResolutionLabels` among its targets are not predicted again.

        Raises:
            DataError: The image does not match the model's input.
        """
        known = sample.get(LowResolutionLabels)
        return self.predict(
            sample.picture,
            name=sample.name,
            low_resolution=None if known is None else known.labels,
        )

    def prepare(
        self,
        image: Image,
        geometry: Geometry,
        *,
        where: str,
        low_resolution: LabelArray | None = None,
        stored_dtype: str = "",
        reduction: int = 1,
    ) -> SeenImage:
        """Return an image as the network sees it; volumes are turned, normalised or clipped, and resampled.

        Args:
            image: (*spatial, C) or (*spatial) in file values.
            geometry: Position of its voxels.
            where: The file, for messages.
            low_resolution: As of `predict`.
            stored_dtype: As of `predict`.
            reduction: As of `Picture`, of the image.

        Raises:
            DataError: The image does not match the model's input.
        """
        seen = seen_image(
            image,
            self.plan,
            geometry=geometry,
            value_range=self.value_range,
            where=where,
            stored_dtype=stored_dtype,
            reduction=reduction,
        )
        stage, plan = self._first_stage, self.plan
        if stage is None:
            return seen
        if low_resolution is None:
            found = stage.predict(image, name=where, geometry=geometry, stored_dtype=stored_dtype)
            low_resolution = found.semantic
        coarse = as_seen(low_resolution, geometry, plan.input, where=where)
        values = with_channels(seen.values, class_channels(coarse, plan.cascade_classes))
        return replace(seen, values=values)

    def _predict(self, seen: SeenImage, name: str, *, probabilities: bool) -> Prediction:
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode(), precision_context(self.device, self.precision):
                runs = self._runs(seen)
                return self.task.predict(runs, name=name, labels=self.labels, probabilities=probabilities)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise DataError(too_large(seen.size, seen.where, str(self.device))) from error
        finally:
            self.model.train(was_training)
            if self._threads is not None:
                self._threads.follow()

    def _runs(self, seen: SeenImage) -> NetworkRuns:
        """Return the runs of the network on an image, whole or in slices."""
        if self.plan.input.slice_axis is None:
            return replace(self._runs_on(seen.values[np.newaxis], seen.where, seen.reduction), size=seen.size)
        return SliceRuns(seen.values, seen.size, self.plan.input, self._runs_on, seen.where, self.device)

    def _runs_on(self, seen: Image, where: str, reduction: int = 1) -> ImageRuns:
        """Return the runs of the network on images (B, *spatial, C) of its dimensions."""
        images, size = self._resized(seen, reduction)
        return ImageRuns(self.running_model, images, size, self.settings, where, self.kind)

    def inputs(
        self, image: Image, *, where: str, reduction: int = 1, stored_dtype: str = ""
    ) -> tuple[torch.Tensor, tuple[int, ...]]:
        """Return the input (1, C, *S) of the model on its device, and the size of the image.

        Args:
            image: (*spatial, C) or (*spatial) in file values.
            where: The file, for messages.
            reduction: As of `Picture`, of the image.
            stored_dtype: As of `predict`.

        Raises:
            DataError: The image does not match the model's input.
        """
        return self._resized(self.fit(image, where=where, stored_dtype=stored_dtype)[np.newaxis], reduction)

    def _resized(self, fitted: Image, reduction: int) -> tuple[torch.Tensor, tuple[int, ...]]:
        """Return the input (B, C, *S) for fitted images (B, *spatial, C), and the size of each."""
        images = self._tensor(fitted)
        size = tuple(side * reduction for side in images.shape[2:])
        return fit_images(images, self.plan.resize_for(self.settings), reduction=reduction), size

    def fit(self, image: Image, *, where: str, stored_dtype: str = "") -> Image:
        """Return the image with the model's channels and the training's range of values.

        Args:
            image: (*spatial, C) or (*spatial) in file values.
            where: The file, for messages.
            stored_dtype: As of `predict`.

        Raises:
            DataError: Dimensions, channels, pixel type or range do not match the training's.
        """
        return fitted_image(
            image, self.plan, value_range=self.value_range, where=where, stored_dtype=stored_dtype
        )

    def _refuse_unsuitable(self, probabilities: bool) -> None:
        """Reject prediction options that the task does not support.

        Raises:
            ConfigError: One of them is set.
        """
        if self.plan.input.slice_axis is not None and not self.task.has_label_maps:
            raise ConfigError(
                f"The task {self.task.name!r} does not combine slices into a volume. Train the task "
                "`semantic`."
            )
        self.task.refuse_unsuitable(self.kind.__name__, self.settings, probabilities=probabilities)

    def _tensor(self, image: Image) -> torch.Tensor:
        """(B, *S, C) array -> (B, C, *S) tensor on the device, channels-last in memory."""
        wide = image.dtype.kind == "f" and image.dtype.itemsize > 4
        if wide or not image.dtype.isnative or not image.flags.writeable:
            image = image.astype(np.float32 if wide else image.dtype.newbyteorder("="))
        tensor = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        return tensor.movedim(-1, 1)
