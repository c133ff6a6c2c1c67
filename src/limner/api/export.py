"""`limner.export()`: a model as a file of another runtime, proved equal on images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from limner.core.errors import DataError
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.exporting.export_model import ExportRequest, export_model
from limner.exporting.exported_module import Finish
from limner.formats import open_source
from limner.images.read_image import read_image
from limner.inference.image_paths import list_images
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.preparation.run_splits import read_splits
from limner.storage.user_paths import user_path
from limner.weights.card import WEIGHTS, model_folder, read_card
from limner.weights.exported import ExportCard

MOST_IMAGES = 12
"""Number of images on which the file is compared with the model."""


def export(
    model: Path | str,
    *,
    to: str = "onnx",
    out: Path | str,
    finish: Finish = "outputs",
    size: Sequence[int] | Literal["any"] | None = None,
    images: Path | str | None = None,
    tolerance: float = 1e-3,
) -> ExportCard:
    """Export a model, run the file in its own runtime, and compare it with the model.

    Args:
        model: A model folder, or a run.
        to: ``onnx``, or ``torch`` for a program of `torch.export`.
        out: The folder to write. `limner predict`, `evaluate` and `load` take it like a model folder.
        finish: ``outputs`` of the network; or for label maps ``probabilities`` or ``labels`` at the image's
            size, for other programs.
        size: Image size that the file takes, one number per axis; ``any`` for any size and batch, which not
            every network can. Defaults to the window of the model's plan, else the size of its crops.
        images: Images for the comparison: a file or a folder. Defaults to the run's validation images.
        tolerance: Largest difference of any output, as a fraction of the range of its values.

    Returns:
        The export's description, with the comparison.

    Raises:
        ConfigError: The options do not suit the model, or the folder holds other files.
        ModelError: The model cannot be loaded or exported, or the file differs from it.
        MissingPartError: A library is missing.
    """
    folder = model_folder(model)
    card = read_card(folder)
    predictor = load_predictor(folder, device="cpu", precision="float32")
    inputs, said = _inputs(predictor, user_path(model), images)
    request = ExportRequest(
        runtime=to,
        finish=finish,
        size=_size(size, predictor.plan),
        tolerance=tolerance,
        licence=card.licence,
        weights_sha256=card.sha256[WEIGHTS],
    )
    return export_model(predictor.model, user_path(out), request, inputs, images_are=said)


def _size(size: Sequence[int] | str | None, plan: Plan) -> tuple[int, ...] | None:
    """Return the size of the file, None for any."""
    if size is None:
        return tuple(plan.inference.window or plan.input.crop_size)
    return None if isinstance(size, str) else tuple(size)


def _inputs(predictor: Predictor, model: Path, images: Path | str | None) -> tuple[list[torch.Tensor], str]:
    """Return images for the comparison, and what they are in words."""
    arrays: list[np.ndarray[Any, Any]]
    if images is not None:
        found = list_images([images])[:MOST_IMAGES]
        arrays, said = [read_image(each.path).array for each in found], f"{len(found)} images of {images}"
    else:
        arrays = _validation_images(predictor, model)
        said = f"{len(arrays)} validation images"
    if not arrays:
        random = np.random.default_rng(0)
        plan = predictor.plan.input
        shape = (*plan.crop_size, plan.channels)
        drawn = random.standard_normal((2, *shape)) * np.array(plan.std) + np.array(plan.mean)
        return [_tensor(image) for image in drawn], "2 images of noise, since no validation images were found"
    fitted = [predictor.fit(array, where=said) for array in arrays]
    return [_tensor(array) for array in fitted], said


def _tensor(image: np.ndarray[Any, Any]) -> torch.Tensor:
    """(*S, C) -> (1, C, *S) float32."""
    return torch.from_numpy(np.ascontiguousarray(image, np.float32)).movedim(-1, 0).unsqueeze(0).contiguous()


def _validation_images(predictor: Predictor, model: Path) -> list[np.ndarray[Any, Any]]:
    """Return the first validation images of the model's run, or none if they are not at hand."""
    run = next((RunFolder(f) for f in (model, model.parent) if RunFolder(f).splits.is_file()), None)
    if run is None:
        return []
    try:
        source = open_source(predictor.plan.data.path)
        records = read_splits(run, source).get("val", ())[:MOST_IMAGES]
        return [source.read_image(record).array for record in records]
    except DataError:
        return []
