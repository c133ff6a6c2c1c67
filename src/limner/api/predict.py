"""`limner.predict`: images into masks in the original label values, overlays and probabilities."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limner.core.config import parse_config
from limner.core.errors import DataError
from limner.core.labels import IGNORE_INDEX, LabelTable
from limner.core.plan import InferencePlan, ResizePlan
from limner.core.prediction import SURE, AnyPrediction, Prediction, SegmentPrediction
from limner.core.progress import Track, silent
from limner.core.sample import Image
from limner.drawing.colors import overlay as draw_overlay
from limner.drawing.display import RGBImage, display_image
from limner.drawing.png import encode_png
from limner.drawing.predictions import compare_prediction
from limner.drawing.segment_colors import segment_overlay
from limner.formats.coco.coco_writing import CocoPredictions
from limner.images.masks import write_values
from limner.images.read_image import read_image
from limner.inference.image_paths import ImagePath, list_images
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.inference.reading_ahead import read_ahead
from limner.inference.truth import Truth
from limner.storage.output_folder import cannot_write, make_output_folder

MASKS, OVERLAYS, PROBABILITIES, COMPARISONS = "masks", "overlays", "probabilities", "comparisons"
INSTANCES, PANOPTIC = "instances", "panoptic"


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
        masks: The index masks, in the order of the images: of classes, or of the numbers of objects.
        failures: The images that could not be predicted.
        json: What was found as COCO's JSON; None for the semantic task.
    """

    out: Path
    masks: tuple[Path, ...]
    failures: tuple[Failure, ...]
    json: Path | None = None


@dataclass(frozen=True)
class _Wanted:
    """What is written for each image, and where."""

    out: Path
    overlay: bool
    probabilities: bool


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

    Objects go to ``out/instances.json`` in COCO's shape, and ``out/instances/NAME.png`` numbers those of a
    score of 0.5 or more, the surest 1. Panoptic segments go to ``out/panoptic.json`` and
    ``out/panoptic/NAME.png``, whose colours are COCO's segment numbers, beside the ``masks/`` of classes.

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
        predictor = load_predictor(model, device=device, precision=precision, settings=settings)
    truth = None if compare is None else Truth(compare, predictor)
    wanted = _Wanted(Path(out).expanduser(), overlay, probabilities)
    make_output_folder(wanted.out)
    masks: list[Path] = []
    failures: list[Failure] = []
    read = read_ahead(images, lambda image: read_image(image.path))
    with _json_of(wanted, predictor) as rows:
        for item, array in track(read, "Predicting", len(images)):
            try:
                image = array()
                prediction = predictor.predict(image, name=str(item.path), probabilities=probabilities)
                true = None if truth is None else truth.of(item.path)
            except DataError as error:
                failures.append(Failure(item.path, str(error)))
                continue
            try:
                masks.append(_write(wanted, item, image, prediction, predictor.labels, rows))
                if truth is not None:
                    drawn = compare_prediction(
                        image, prediction, predictor.labels, truth=true, title=item.path.name
                    )
                    _write_picture(wanted.out / COMPARISONS, item, drawn)
            except OSError as error:
                raise cannot_write(wanted.out, error) from error
    return PredictResult(wanted.out, tuple(masks), tuple(failures), rows.path if rows else None)


def inference_settings(
    plan: InferencePlan,
    *,
    window: Sequence[int] | None = None,
    overlap: float | None = None,
    flips: bool | None = None,
    scales: Sequence[float] | None = None,
    resize: ResizePlan | None = None,
) -> InferencePlan:
    """Return a plan's settings with those changed that are not None.

    Raises:
        ConfigError: A setting is out of range.
    """
    changes = {"window": window, "overlap": overlap, "flips": flips, "scales": scales, "resize": resize}
    values = plan.model_dump() | {key: value for key, value in changes.items() if value is not None}
    return parse_config(InferencePlan, values, where="the command")


def _json_of(wanted: _Wanted, predictor: Predictor) -> AbstractContextManager[CocoPredictions | None]:
    """Return the JSON file that the model's task writes, or nothing to write."""
    names = {"instance": INSTANCES, "panoptic": PANOPTIC}
    if predictor.plan.task not in names:
        return nullcontext()
    return CocoPredictions(wanted.out / f"{names[predictor.plan.task]}.json", predictor.labels)


def _write(
    wanted: _Wanted,
    item: ImagePath,
    image: Image,
    prediction: AnyPrediction,
    labels: LabelTable,
    rows: CocoPredictions | None,
) -> Path:
    """Write all that is wanted of one image; return the index mask's path."""
    if isinstance(prediction, Prediction):
        return _write_classes(wanted, item, image, prediction, labels)
    assert rows is not None, "objects and segments go to a JSON file"
    if isinstance(prediction, SegmentPrediction):
        shown = prediction.segments(SURE)
        rows.add(prediction, file_name=str(item.path))
        mask = _place(wanted.out / INSTANCES, f"{item.output}.png")
        write_values(mask, shown.flat())
    else:
        shown = prediction.segments()
        png = _place(wanted.out / PANOPTIC, f"{item.output}.png")
        rows.add_panoptic(prediction, file_name=str(item.path), png=png)
        mask = _place(wanted.out / MASKS, f"{item.output}.png")
        write_values(mask, labels.decode(prediction.semantic(nothing=IGNORE_INDEX)), labels.encoding)
    if wanted.overlay:
        drawn = segment_overlay(display_image(image), shown, labels)
        _write_picture(wanted.out / OVERLAYS, item, drawn)
    return mask


def _write_classes(
    wanted: _Wanted, item: ImagePath, image: Image, prediction: Prediction, labels: LabelTable
) -> Path:
    mask = _place(wanted.out / MASKS, f"{item.output}.png")
    write_values(mask, labels.decode(prediction.semantic), labels.encoding)
    if wanted.overlay:
        drawn = draw_overlay(display_image(image), prediction.semantic, labels)
        _write_picture(wanted.out / OVERLAYS, item, drawn)
    if wanted.probabilities:
        assert prediction.probabilities is not None
        path = _place(wanted.out / PROBABILITIES, f"{item.output}.npy")
        np.save(path, prediction.probabilities.astype(np.float16))
    return mask


def _write_picture(folder: Path, item: ImagePath, picture: RGBImage) -> None:
    _place(folder, f"{item.output}.png").write_bytes(encode_png(picture))


def _place(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
