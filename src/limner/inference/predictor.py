"""A model and an image into a prediction at the image's own size.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from limner.core.errors import ConfigError, DataError
from limner.core.labels import LabelTable
from limner.core.picture import Image
from limner.core.plan import InferencePlan, Plan
from limner.devices.device import choose_device
from limner.devices.memory import is_out_of_memory
from limner.devices.precision import fast_precision, precision_context
from limner.images.read_image import read_image
from limner.inference.fitted_size import fit_images
from limner.inference.image_runs import ImageRuns, too_large
from limner.tasks import find_task
from limner.tasks.task import Task
from limner.transforms.fit_channels import fit_channels
from limner.weights.model import Model


class Predictor:
    """Predicts images one by one.

    Args:
        model: What predicts; it is moved to the device.
        device: ``auto`` is the accelerator where there is one, else the processor.
        precision: ``float32``, ``bfloat16`` or ``float16``; None takes that of the training
            where the device is fast in it, else float32.
        settings: Window, overlap, flips and scales; None takes those of the model's plan.
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str | torch.device = "auto",
        precision: str | None = None,
        settings: InferencePlan | None = None,
    ) -> None:
        self.device = device if isinstance(device, torch.device) else choose_device(device)
        self.precision = precision or fast_precision(self.device, model.plan.train.precision)
        self.settings = settings or model.plan.inference
        dims = model.plan.input.spatial_dims
        if self.settings.window is not None and len(self.settings.window) != dims:
            raise ConfigError(f"A window needs {dims} sizes, one per axis; found {self.settings.window}.")
        self.model = model.to(self.device)

    @property
    def labels(self) -> LabelTable:
        """The classes that the trained labels of a prediction mean."""
        return self.model.labels

    @property
    def task(self) -> Task:
        """What the model was trained for."""
        return find_task(self.plan.task)

    @property
    def plan(self) -> Plan:
        """Every setting of the run that made the model."""
        return self.model.plan

    def predict(
        self, image: Image | Path | str, *, name: str | None = None, probabilities: bool = False
    ) -> Any:  # noqa: ANN401 - the prediction of the model's task
        """Predict one image.

        Args:
            image: A file, or (*spatial, C) or (*spatial) in the values that such files have.
            name: What to call the prediction; None takes the file's name without its suffix.
            probabilities: Whether to return the probability of each class too; for label maps only.

        Returns:
            The `Prediction` of the model's task, such as `SemanticPrediction`.

        Raises:
            ConfigError: Windows, mirrored views, zooms or probabilities are asked of a task that has none.
            DataError: The file cannot be read, or the image is not of the model's kind.
        """
        if isinstance(image, (str, Path)):
            path = Path(image)
            array, where, name = read_image(path).array, str(path), name or path.stem
        else:
            array, where, name = np.asarray(image), name or "the image", name or "image"
        self._refuse_unsuitable(probabilities)
        images = self._tensor(fit_channels(array, self.plan.input, where=where))
        size = tuple(images.shape[2:])
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode(), precision_context(self.device, self.precision):
                images = fit_images(images, self.settings.resize)
                runs = ImageRuns(self.model, images, size, self.settings, where)
                return self.task.predict(runs, name=name, labels=self.labels, probabilities=probabilities)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise DataError(too_large(images, where, self.device)) from error
        finally:
            self.model.train(was_training)

    def _refuse_unsuitable(self, probabilities: bool) -> None:
        """Refuse ways of predicting that make no sense for the task.

        Raises:
            ConfigError: One of them is asked for.
        """
        allowed, settings = self.task.allowed, self.settings
        has_views = settings.flips or settings.scales != (1.0,)
        asked = (
            (settings.window is not None, allowed.windows),
            (has_views, allowed.views),
            (probabilities, allowed.probabilities),
        )
        if any(is_asked and not is_allowed for is_asked, is_allowed in asked):
            options = {
                "--window": allowed.windows,
                "--flips": allowed.views,
                "--scales": allowed.views,
                "--probabilities": allowed.probabilities,
            }
            *others, last = [option for option, is_allowed in options.items() if not is_allowed]
            named = f"{', '.join(others)} and {last}" if others else last
            raise ConfigError(f"The {self.task.name} task {allowed.why_not}. Omit {named}.")

    def _tensor(self, image: Image) -> torch.Tensor:
        """(*S, C) array -> (1, C, *S) tensor on the device, channels-last in memory."""
        wide = image.dtype.kind == "f" and image.dtype.itemsize > 4
        if wide or not image.dtype.isnative or not image.flags.writeable:
            image = image.astype(np.float32 if wide else image.dtype.newbyteorder("="))
        tensor = torch.from_numpy(np.ascontiguousarray(image)).unsqueeze(0).to(self.device)
        return tensor.movedim(-1, 1)
