"""`limner.predict`: images into masks in the original label values, overlays and probabilities."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limner.api.load import load
from limner.api.output_folder import cannot_write, make_output_folder
from limner.api.truth import Truth
from limner.core.config import parse_config
from limner.core.errors import DataError
from limner.core.plan import InferencePlan
from limner.core.prediction import Prediction
from limner.core.progress import Track, silent
from limner.core.sample import Image, LabelMap
from limner.drawing.colors import overlay as draw_overlay
from limner.drawing.comparison import comparison
from limner.drawing.display import display_image
from limner.drawing.png import encode_png
from limner.formats.images import read_image
from limner.formats.masks import write_values
from limner.inference.image_paths import ImagePath, list_images
from limner.inference.predictor import Predictor
from limner.inference.reading_ahead import read_ahead

MASKS, OVERLAYS, PROBABILITIES, COMPARISONS = "masks", "overlays", "probabilities", "comparisons"


@dataclass(frozen=True)
class Failure:
    """An image that could not be predicted, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class PredictResult:
    """What was written.

    Attributes:
        out: The output folder.
        masks: The index masks, in the order of the images.
        failures: The images that could not be predicted.
    """

    out: Path
    masks: tuple[Path, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class _Wanted:
    """What is written for each image, and where."""

    out: Path
    overlay: bool
    probabilities: bool
    truth: Truth | None


def predict(
    model: Path | str | Predictor,
    paths: Iterable[str | Path] | str | Path,
    *,
    out: Path | str,
    overlay: bool = True,
    probabilities: bool = False,
    compare: Path | str | None = None,
    settings: InferencePlan | None = None,
    device: str = "auto",
    precision: str | None = None,
    track: Track = silent,
) -> PredictResult:
    """Predict images and write what was found into a folder.

    ``out/masks/NAME.png`` has the size of the image and the label values of the training masks;
    ``out/overlays/NAME.png`` shows it on the image; ``out/probabilities/NAME.npy`` is (K, H, W) float16.
    An image that cannot be predicted is reported and the others are done.

    Args:
        model: A model folder, a run folder, or a loaded predictor.
        paths: Images, folders, globs and ``.txt`` lists.
        out: The output folder; files in it that have the same names are replaced.
        overlay: Whether to write overlays.
        probabilities: Whether to write probabilities.
        compare: A labelled folder that holds the images: ``out/comparisons/NAME.png`` shows image, truth,
            prediction, and the map of hits and errors. An image that has no labels there is shown without.
        settings: Window, overlap, flips and scales; None takes those of the model's plan.
        device: As in `load`.
        precision: As in `load`.
        track: Shows progress.

    Raises:
        ModelError: The model cannot be loaded.
        DataError: There is no image at all, the output folder cannot be written, or the classes of
            `compare` are not the model's.
    """
    images = list_images([paths] if isinstance(paths, (str, Path)) else paths)
    if not images:
        raise DataError("There is nothing to predict: no image was named.")
    if isinstance(model, Predictor):
        predictor = model
    else:
        predictor = load(model, device=device, precision=precision, settings=settings)
    truth = None if compare is None else Truth(compare, predictor.labels)
    wanted = _Wanted(Path(out).expanduser(), overlay, probabilities, truth)
    make_output_folder(wanted.out)
    masks: list[Path] = []
    failures: list[Failure] = []
    read = read_ahead(images, lambda image: read_image(image.path))
    for item, array in track(read, "Predicting", len(images)):
        try:
            image = array()
            prediction = predictor.predict(image, name=str(item.path), probabilities=probabilities)
            true = None if truth is None else truth.of(item.path)
        except DataError as error:
            failures.append(Failure(item.path, str(error)))
            continue
        masks.append(_write(wanted, item, image, prediction, predictor, true))
    return PredictResult(wanted.out, tuple(masks), tuple(failures))


def inference_settings(
    plan: InferencePlan,
    *,
    window: Sequence[int] | None = None,
    overlap: float | None = None,
    flips: bool | None = None,
    scales: Sequence[float] | None = None,
) -> InferencePlan:
    """Return a plan's settings with those changed that are not None.

    Raises:
        ConfigError: A setting is out of range.
    """
    changes = {"window": window, "overlap": overlap, "flips": flips, "scales": scales}
    values = plan.model_dump() | {key: value for key, value in changes.items() if value is not None}
    return parse_config(InferencePlan, values, where="the command")


def _write(
    wanted: _Wanted,
    item: ImagePath,
    image: Image,
    prediction: Prediction,
    predictor: Predictor,
    truth: LabelMap | None,
) -> Path:
    """Write all that is wanted of one image; return the mask's path."""
    labels = predictor.labels
    try:
        mask = _place(wanted.out / MASKS, f"{item.output}.png")
        write_values(mask, labels.decode(prediction.semantic), labels.encoding)
        if wanted.overlay:
            picture = draw_overlay(display_image(image), prediction.semantic, labels)
            _place(wanted.out / OVERLAYS, f"{item.output}.png").write_bytes(encode_png(picture))
        if wanted.truth is not None:
            picture = comparison(image, prediction.semantic, labels, truth=truth, title=item.path.name)
            _place(wanted.out / COMPARISONS, f"{item.output}.png").write_bytes(encode_png(picture))
        if wanted.probabilities:
            assert prediction.probabilities is not None
            path = _place(wanted.out / PROBABILITIES, f"{item.output}.npy")
            np.save(path, prediction.probabilities.astype(np.float16))
    except OSError as error:
        raise cannot_write(wanted.out, error) from error
    return mask


def _place(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
