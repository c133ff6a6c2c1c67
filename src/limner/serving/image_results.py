"""Results of one image: JSON, or a file as `limner predict` writes it."""

import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limner.core.picture import Picture
from limner.drawing.display import display_image
from limner.drawing.png import encode_png
from limner.images.read_image import at_full_size
from limner.serving.answer_kinds import NIFTI, PNG, AnswerKind
from limner.serving.refusal import Refusal
from limner.serving.served_models import ServedModel
from limner.serving.shown_volume import shown_volume
from limner.tasks.prediction_folder import OVERLAYS, PredictionFolder

MEASURES = {2: "area_mm2", 3: "volume_mm3"}
"""Number of axes -> name of the size of a class or object, where the spacing of pixels is known."""


@dataclass(frozen=True)
class ImageResult:
    """The prediction of one image.

    Attributes:
        name: Name of the file in the request.
        picture: The image.
        prediction: The prediction of the model's task.
        seconds: Time of the prediction, without reading.
    """

    name: str
    picture: Picture
    prediction: Any
    seconds: float


def predict_picture(model: ServedModel, picture: Picture, name: str, *, scored: bool = False) -> ImageResult:
    """Predict an image.

    Args:
        model: The model.
        picture: The image.
        name: Its name in answers.
        scored: Whether to keep the probabilities of pixels, where the task has them.

    Raises:
        DataError: It does not suit the model.
    """
    started = time.perf_counter()
    predictor = model.predictor
    keeps = scored and predictor.task.allowed_with(predictor.plan.loss).probabilities
    kept: dict[str, Any] = {"probabilities": True} if keeps else {}
    prediction = predictor.predict(picture, name=name, **kept)
    return ImageResult(name, picture, prediction, time.perf_counter() - started)


def json_of(result: ImageResult, model: ServedModel, *, polygons: bool, volume: bool) -> dict[str, Any]:
    """Return what `/predict` answers about an image, with sizes in millimetres where the spacing is known.

    Args:
        result: The prediction.
        model: The model.
        polygons: Whether to add outlines to the masks of objects.
        volume: Whether to add what the page shows of volumes with label maps.
    """
    array, spacing = result.picture.array, result.picture.geometry.spacing_mm
    found = model.predictor.task.to_json(result.prediction, model.predictor.labels, polygons=polygons)
    if spacing is not None:
        for row in (*found.get("classes", ()), *found.get("objects", ())):
            if "pixels" in row:
                row[MEASURES[len(spacing)]] = row["pixels"] * math.prod(spacing)
    if volume and model.predictor.task.has_label_maps and array.ndim == 4:
        labels = result.prediction.semantic
        found = found | {"volume": shown_volume(result.picture, labels, model.predictor.labels)}
    return {
        "file": result.name,
        "size": list(result.picture.size),
        "channels": array.shape[-1],
        "dtype": array.dtype.name,
        "spacing_mm": None if spacing is None else list(spacing),
        "seconds": round(result.seconds, 4),
        **found,
    }


def display_png(picture: Picture) -> bytes:
    """Return an image as PNG of 8 bits for display; of a volume, the middle slice."""
    array = picture.array
    return encode_png(display_image(array[len(array) // 2] if array.ndim == 4 else array))


def file_of(result: ImageResult, model: ServedModel, kind: AnswerKind) -> bytes:
    """Return a file of a prediction as `limner predict` writes it.

    Args:
        result: The prediction.
        model: The model.
        kind: Label map, overlay or volume.

    Raises:
        Refusal: The model's task has none, or the image is of the other number of axes.
    """
    is_volume = result.picture.array.ndim == 4
    file_name = "image.nii.gz" if is_volume else "image.png"
    with tempfile.TemporaryDirectory(prefix="limner-") as root:
        folder = PredictionFolder(Path(root), overlay=kind is AnswerKind.OVERLAY)
        writer = model.predictor.task.writer(folder, model.predictor.labels)
        path = folder.place(OVERLAYS, "image.png")
        if kind is not AnswerKind.OVERLAY:
            files = writer.files("image", Path(file_name))
            path = files[0] if files else folder.root / "none"
            _refuse_other_type(path, kind, model, is_volume=is_volume)
        picture = at_full_size(result.picture) if folder.overlay else result.picture
        writer.write(result.prediction, picture, output="image", file_name=file_name)
        return path.read_bytes()


def _refuse_other_type(path: Path, kind: AnswerKind, model: ServedModel, *, is_volume: bool) -> None:
    """Refuse a label map of a task without label maps, and one of another type than the image has."""
    wanted = ".png" if kind is AnswerKind.LABELS else ".nii.gz"
    if path.name.endswith(wanted):
        return
    has_map = path.name.endswith((".png", ".nii.gz"))
    other = f"Accept: {NIFTI if is_volume else PNG}"
    raise Refusal(
        406,
        f"There is no {'PNG' if wanted == '.png' else 'NIfTI'} label map of this prediction",
        found=f"Accept: {kind.media_type}, a model of {model.predictor.task.title}"
        + (", and a volume" if is_volume else ""),
        expected=f"Accept: {other}"
        if has_map
        else "Accept: application/json, or image/png with ?picture=overlay",
    )
