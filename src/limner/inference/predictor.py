"""A model and an image into a prediction at the image's own size.

Shape legend: B batch, C channels, K classes, *S spatial axes.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from limner.core.errors import ConfigError, DataError, describe
from limner.core.labels import LabelTable
from limner.core.outputs import DenseLogits, Outputs, QueryMasks
from limner.core.plan import InferencePlan, Plan
from limner.core.prediction import AnyPrediction, PanopticPrediction, Prediction, SegmentPrediction
from limner.core.sample import Image
from limner.decoding.label_maps import semantic_labels, semantic_logits, semantic_probabilities
from limner.decoding.query_masks import find_objects, find_segments
from limner.devices.device import choose_device
from limner.devices.memory import is_out_of_memory
from limner.devices.precision import fast_precision, precision_context
from limner.images.read_image import read_image
from limner.inference.fitted_size import fit_images
from limner.inference.sliding_window import pad_by_reflection, sliding_window
from limner.inference.test_time_augmentation import View, views
from limner.transforms.fit_channels import fit_channels
from limner.weights.model import Model

SMALLEST_INPUT = 33
"""Networks take any size from here; smaller images are padded by reflection."""

WHOLE_IMAGE_PIXELS = 2**24
"""Larger images slide even where the plan says whole images: 4096 x 4096, or 256 x 256 x 256."""


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
            raise ConfigError(f"A window needs {dims} sizes, one an axis; found {self.settings.window}.")
        self.model = model.to(self.device)

    @property
    def labels(self) -> LabelTable:
        """The classes that the trained labels of a prediction mean."""
        return self.model.labels

    @property
    def plan(self) -> Plan:
        """Every setting of the run that made the model."""
        return self.model.plan

    def predict(
        self, image: Image | Path | str, *, name: str | None = None, probabilities: bool = False
    ) -> AnyPrediction:
        """Predict one image.

        Args:
            image: A file, or (*spatial, C) or (*spatial) in the values that such files have.
            name: What to call the prediction; None takes the file's name without its suffix.
            probabilities: Whether to return the probability of each class too; for label maps only.

        Returns:
            A `Prediction`, `SegmentPrediction` or `PanopticPrediction`, as the model's task has it.

        Raises:
            ConfigError: Windows, mirrored views, zooms or probabilities are asked of a task that has none.
            DataError: The file cannot be read, or the image is not of the model's kind.
        """
        if isinstance(image, (str, Path)):
            path = Path(image)
            array, where, name = read_image(path), str(path), name or path.stem
        else:
            array, where, name = np.asarray(image), name or "the image", name or "image"
        images = self._tensor(fit_channels(array, self.plan.input, where=where))
        size = tuple(images.shape[2:])
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode(), precision_context(self.device, self.precision):
                images = fit_images(images, self.settings.resize)
                if self.plan.task != "semantic":
                    self._refuse_views(probabilities)
                    return self._predict_segments(images, size, name, where)
                return self._predict(images, size, name, probabilities)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise DataError(_too_large(images, where, self.device)) from error
        finally:
            self.model.train(was_training)

    def _predict(
        self, images: torch.Tensor, size: tuple[int, ...], name: str, probabilities: bool
    ) -> Prediction:
        looks = list(
            views(
                scales=self.settings.scales,
                flips=self.settings.flips,
                flip_axes=self.plan.augment.flip_axes,
            )
        )
        seen = tuple(images.shape[2:])
        is_plain = not probabilities and len(looks) == 1 and looks[0].is_plain
        if is_plain and (seen == size or self._window(seen) is None):
            labels = torch.empty(size, dtype=torch.uint8)
            for band, outputs in self._bands(images):
                rows = band if seen == size else slice(0, size[0])  # a resized image is one band
                extent = (rows.stop - rows.start, *size[1:])
                labels[rows] = semantic_labels(outputs, extent)[0].cpu()
            return Prediction(name, labels.numpy())
        mean = self._mean_probabilities(images, size, looks)
        semantic = mean.argmax(0).astype(np.uint8)
        return Prediction(name, semantic, mean if probabilities else None)

    def _refuse_views(self, probabilities: bool) -> None:
        settings = self.settings
        if settings.window is None and not settings.flips and settings.scales == (1.0,) and not probabilities:
            return
        raise ConfigError(
            f"The {self.plan.task} task predicts whole images as they are: objects found in windows, "
            "mirrored or zoomed views cannot be averaged. Leave out --window, --flips, --scales and "
            "--probabilities."
        )

    def _predict_segments(
        self, images: torch.Tensor, size: tuple[int, ...], name: str, where: str
    ) -> SegmentPrediction | PanopticPrediction:
        seen = tuple(images.shape[2:])
        if math.prod(seen) > WHOLE_IMAGE_PIXELS:
            raise DataError(_too_large(images, where, self.device, fix="Cut the image into tiles."))
        padded = pad_by_reflection(images, [SMALLEST_INPUT] * len(seen))
        outputs = self.model(padded)
        assert isinstance(outputs, QueryMasks), "planning pairs this task with queries alone"
        # Results are made at the size of the image, with what was padded around it, which is then cut off.
        extent = tuple(p * n // s for p, n, s in zip(padded.shape[2:], size, seen, strict=True))
        if self.plan.task == "instance":
            found = find_objects(outputs, extent, name=name)
            return replace(found, masks=_middle_of(found.masks, size))
        things = self.labels.is_thing.tolist()
        regions = find_segments(outputs, extent, is_thing=things, name=name)
        return replace(regions, segment_ids=_middle_of(regions.segment_ids, size))

    def _mean_probabilities(
        self, images: torch.Tensor, size: tuple[int, ...], looks: list[View]
    ) -> np.ndarray:
        """Average the probabilities (K, *S) over the views."""
        total = torch.zeros((self.labels.num_classes, *size))
        for look in looks:
            seen = look.apply(images, smallest=SMALLEST_INPUT)
            parts = [_logits(outputs, rows, seen.shape) for rows, outputs in self._bands(seen)]
            outputs = DenseLogits(look.undo_flip(torch.cat(parts, 2)))
            total += semantic_probabilities(outputs, size)[0].cpu()
        return (total / len(looks)).numpy()

    def _bands(self, images: torch.Tensor) -> Iterator[tuple[slice, Outputs]]:
        """Yield slices of the first axis and the outputs there, at any resolution: one band if whole."""
        size = tuple(images.shape[2:])
        window = self._window(size)
        if window is not None:
            for rows, scores in sliding_window(
                self._window_logits,
                images,
                window=window,
                overlap=self.settings.overlap,
                windows_at_once=self._windows_at_once(window),
            ):
                yield rows, DenseLogits(scores)
            return
        if min(size) >= SMALLEST_INPUT:
            yield slice(0, size[0]), self.model(images)
            return
        padded = pad_by_reflection(images, [SMALLEST_INPUT] * len(size))
        scores = self._window_logits(padded)
        for axis, length in enumerate(size, start=2):
            scores = scores.narrow(axis, (scores.shape[axis] - length) // 2, length)
        yield slice(0, size[0]), DenseLogits(scores)

    def _window_logits(self, images: torch.Tensor) -> torch.Tensor:
        """(b, C, *S) -> (b, K, *S)."""
        return semantic_logits(self.model(images), images.shape[2:])

    def _window(self, size: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the window's size, or None for whole images."""
        if self.settings.window is not None:
            return tuple(max(w, SMALLEST_INPUT) for w in self.settings.window)
        if math.prod(size) <= WHOLE_IMAGE_PIXELS:
            return None
        least = 1024 if len(size) == 2 else 96
        return tuple(max(side, least) for side in self.plan.input.crop_size)

    def _windows_at_once(self, window: tuple[int, ...]) -> int:
        """A processor gains nothing from more than one; an accelerator is filled to about 2 megapixels."""
        return 1 if self.device.type == "cpu" else max(1, 2**21 // math.prod(window))

    def _tensor(self, image: Image) -> torch.Tensor:
        """(*S, C) array -> (1, C, *S) tensor on the device, channels-last in memory."""
        wide = image.dtype.kind == "f" and image.dtype.itemsize > 4
        if wide or not image.dtype.isnative or not image.flags.writeable:
            image = image.astype(np.float32 if wide else image.dtype.newbyteorder("="))
        tensor = torch.from_numpy(np.ascontiguousarray(image)).unsqueeze(0).to(self.device)
        return tensor.movedim(-1, 1)


def _logits(outputs: Outputs, rows: slice, shape: torch.Size) -> torch.Tensor:
    """Return a band's logits (B, K, ...) as they are; those of queries at the size of the images, `shape`."""
    if isinstance(outputs, DenseLogits):
        return outputs.logits.float()
    return semantic_logits(outputs, (rows.stop - rows.start, *shape[3:]))


def _middle_of(array: npt.NDArray[Any], size: tuple[int, ...]) -> npt.NDArray[Any]:
    """Cut off what padding has added to the last axes."""
    for axis, length in enumerate(size, start=array.ndim - len(size)):
        start = (array.shape[axis] - length) // 2
        if array.shape[axis] > length:
            array = array.take(np.arange(start, start + length), axis)
    return array


def _too_large(
    images: torch.Tensor,
    where: str,
    device: torch.device,
    fix: str = "Predict it in windows: --window 512x512, or inference.window in the plan.",
) -> str:
    size = " x ".join(str(s) for s in images.shape[2:])
    return describe(
        f"The image does not fit in the memory of {device} at once",
        where=where,
        found=f"{size} pixels",
        fix=fix,
    )
