"""`limner.export()`: a model as a file of another runtime, proved equal on images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from limner.core.errors import ConfigError, DataError, UnknownNameError, describe
from limner.core.picture import Image
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.exporting.export_model import ExportRequest, export_model, of_size
from limner.exporting.exported_module import Finish
from limner.exporting.lower_precision import FileFormat, Precision
from limner.exporting.score_drop import LabelledImages
from limner.formats import open_source
from limner.formats.source import Source
from limner.images.read_image import read_image
from limner.inference.image_paths import ImagePath, list_images
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.loading.splits import Splits
from limner.preparation.run_splits import read_splits
from limner.storage.user_paths import user_path
from limner.tasks import find_task
from limner.weights.bundle import read_model_plan
from limner.weights.card import WEIGHTS, model_folder, read_card
from limner.weights.exported import RUNTIMES, ExportCard

MOST_IMAGES = 12
"""Number of images on which the file is compared with the model."""

MOST_CALIBRATING = 48
"""Number of images from which the ranges of values for ``int8`` are taken; more change them little."""

MOST_SCORED = 200
"""Number of validation images on which a file in lower precision is scored."""

TOLERANCES = {"float32": 1e-3, "float16": 2e-2, "int8": None}
"""Default of `tolerance`: the outputs of ``int8`` differ by more, so it is judged by its score."""

PRECISIONS = tuple(TOLERANCES)


def export(
    model: Path | str,
    *,
    to: str = "onnx",
    out: Path | str,
    finish: Finish = "outputs",
    size: Sequence[int] | Literal["any"] | None = None,
    precision: Precision = "float32",
    opset: int | None = None,
    images: Path | str | None = None,
    calibrate: Path | str | None = None,
    tolerance: float | None = None,
    max_loss: float = 0.02,
) -> ExportCard:
    """Export a model, run the file in its own runtime, and compare it with the model.

    Args:
        model: A model folder, or a run.
        to: ``onnx``, ``openvino``, ``executorch``, or ``torch`` for a program of `torch.export`.
        out: The folder to write. `limner predict`, `evaluate` and `load` take it like a model folder.
        finish: ``outputs`` of the network; or for label maps ``probabilities`` or ``labels`` at the image's
            size, for other programs.
        size: Image size that the file takes, one number per axis; ``any`` for any size and batch, which not
            every network can. Defaults to any size for classes of whole images, else to the window of the
            model's plan, or the size of its crops. Tasks without windows resize images to the file's size.
        precision: ``float32``, ``float16`` for half the size, or ``int8`` for a quarter of it and speed on
            processors. In lower precision, the scores of model and file on the run's validation images are
            compared.
        opset: Version of ONNX's operators, for older runtimes; defaults to that of PyTorch's exporter.
        images: Images for the comparison: a file or a folder. Defaults to the run's validation images,
            or to those of `calibrate`.
        calibrate: Images for ``int8``, from which the ranges of all values are taken: a file or a folder.
            Defaults to the run's training images.
        tolerance: Largest difference of any output, as a fraction of the range of its values. Defaults to
            0.001 in float32 and 0.02 in float16; any in int8.
        max_loss: Largest loss of the main score in lower precision.

    Returns:
        The export's description, with the comparison.

    Raises:
        ConfigError: The options do not suit the model, or the folder holds other files.
        ModelError: The model cannot be loaded or exported, or the file differs from it.
        MissingPartError: A library is missing.
    """
    _refuse_precision(precision, calibrate)
    folder = model_folder(model)
    card = read_card(folder)
    predictor = load_predictor(folder, device="cpu", precision="float32")
    run = _Run(user_path(model))
    sides = _size(size, predictor.plan, to)
    calibrating = _calibration(predictor, run, calibrate, sides, precision)
    inputs, said = _inputs(predictor, run, images, calibrate)
    request = ExportRequest(
        runtime=to,
        finish=finish,
        size=sides,
        file_format=FileFormat(precision, opset, calibrating),
        tolerance=TOLERANCES[precision] if tolerance is None else tolerance,
        max_loss=max_loss,
        licence=card.licence,
        weights_sha256=card.sha256[WEIGHTS],
    )
    labelled = None if precision == "float32" or finish != "outputs" else run.labelled()
    return export_model(predictor, user_path(out), request, inputs, images_are=said, labelled=labelled)


def _refuse_precision(precision: str, calibrate: Path | str | None) -> None:
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if calibrate is not None and precision != "int8":
        raise ConfigError(
            f"--calibrate is for --precision int8; this export is in {precision}. Omit --calibrate."
        )


def _size(size: Sequence[int] | str | None, plan: Plan, to: str) -> tuple[int, ...] | None:
    """Return the size of the file, None for any."""
    runtime = RUNTIMES.get(to)
    takes_any = runtime is not None and not runtime.has_one_size
    if size is None and takes_any and find_task(plan.task).sees_whole_images:
        return None
    if size is None:
        return tuple(plan.inference.window or plan.input.crop_size)
    return None if isinstance(size, str) else tuple(size)


@dataclass(frozen=True)
class _Run:
    """The run of a model, if it is in one.

    Attributes:
        path: The run, or the model folder in it.
    """

    path: Path

    @cached_property
    def splits(self) -> tuple[Source, Splits] | None:
        """The dataset and its splits, or None if they are not at hand."""
        run = next(
            (RunFolder(f) for f in (self.path, self.path.parent) if RunFolder(f).splits.is_file()), None
        )
        if run is None:
            return None
        try:
            source = open_source(read_model_plan(model_folder(self.path)).data.path)
            return source, read_splits(run, source)
        except DataError:
            return None

    def images(self, split: str, most: int) -> list[Image]:
        """Return the first images of a split, or none."""
        if self.splits is None:
            return []
        source, splits = self.splits
        try:
            return [source.read_image(record).array for record in splits.get(split, ())[:most]]
        except DataError:
            return []

    def labelled(self) -> LabelledImages | None:
        """Return the validation images with their labels, or None."""
        if self.splits is None or not self.splits[1].get("val"):
            return None
        source, splits = self.splits
        records = splits["val"][:MOST_SCORED]
        return LabelledImages(source, records, f"{len(records)} validation images")


def _calibration(
    predictor: Predictor,
    run: _Run,
    calibrate: Path | str | None,
    size: tuple[int, ...] | None,
    precision: str,
) -> list[npt.NDArray[np.float32]]:
    """Return the images for ``int8``; none for other precisions.

    Raises:
        ConfigError: There are no training images at hand, and no others are given.
        DataError: There are none in the folder.
    """
    if precision != "int8":
        return []
    if calibrate is None:
        arrays, where = run.images("train", MOST_CALIBRATING), "training images"
        if not arrays:
            raise ConfigError(
                describe(
                    "Export in int8 needs images, from which it takes the ranges of all values",
                    where=run.path,
                    found="no training images of this model",
                    expected="a run whose data is available",
                    fix="Name a folder of typical images: --calibrate FOLDER.",
                )
            )
    else:
        where = str(calibrate)
        arrays = [read_image(each.path).array for each in _listed(calibrate)[:MOST_CALIBRATING]]
    tensors = (_tensor(predictor.fit(array, where=where)) for array in arrays)
    return [of_size(each, each.shape[2:] if size is None else size).numpy() for each in tensors]


def _listed(calibrate: Path | str) -> Sequence[ImagePath]:
    try:
        return list_images([calibrate])
    except DataError as error:
        raise DataError(
            describe(
                "There are no images to calibrate with",
                where=user_path(calibrate),
                found=str(error).splitlines()[0],
                expected="images like those that the model will predict; about 50 are enough",
                fix="Name another folder with --calibrate, or omit it to use the run's training images.",
            )
        ) from error


def _inputs(
    predictor: Predictor, run: _Run, images: Path | str | None, calibrate: Path | str | None
) -> tuple[list[torch.Tensor], str]:
    """Return images for the comparison, and what they are in words."""
    if images is None and calibrate is not None and run.splits is None:
        images = calibrate
    if images is not None:
        found = list_images([images])[:MOST_IMAGES]
        arrays, said = [read_image(each.path).array for each in found], f"{len(found)} images of {images}"
    else:
        arrays = run.images("val", MOST_IMAGES)
        said = f"{len(arrays)} validation images"
    if not arrays:
        random = np.random.default_rng(0)
        plan = predictor.plan.input
        shape = (*plan.crop_size, plan.channels)
        drawn = random.standard_normal((2, *shape)) * np.array(plan.std) + np.array(plan.mean)
        return [_tensor(image) for image in drawn], "2 images of noise, since no validation images were found"
    return [_tensor(predictor.fit(array, where=said)) for array in arrays], said


def _tensor(image: Image) -> torch.Tensor:
    """(*S, C) -> (1, C, *S) float32."""
    return torch.from_numpy(np.ascontiguousarray(image, np.float32)).movedim(-1, 0).unsqueeze(0).contiguous()
