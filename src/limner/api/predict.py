"""`limner.predict()`: masks with the original label values, overlays and probabilities of images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.core.config import parse_config
from limner.core.errors import DataError, describe
from limner.core.plan import InferencePlan, ResizePlan
from limner.core.progress import Track, silent
from limner.images.read_image import read_image
from limner.inference.image_paths import list_images, searched_folder
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.inference.reading_ahead import read_ahead
from limner.inference.truth import Truth
from limner.storage.output_folder import cannot_write, make_output_folder
from limner.storage.own_outputs import own_outputs
from limner.tasks.prediction_folder import COMPARISONS, PredictionFolder
from limner.transforms.fit_values import ValueRange


@dataclass(frozen=True)
class Failure:
    """An image that could not be predicted, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class PredictResult:
    """Result of a prediction.

    Attributes:
        out: The output folder.
        masks: Index masks of classes or of object ids, in the order of the images.
        failures: Images that could not be predicted.
        json: Predictions as COCO JSON; None for the semantic task.
    """

    out: Path
    masks: tuple[Path, ...]
    failures: tuple[Failure, ...]
    json: Path | None = None


def predict(
    model: Path | str | Predictor,
    paths: Iterable[str | Path] | str | Path,
    *,
    out: Path | str,
    overlay: bool = True,
    probabilities: bool = False,
    compare: Path | str | None = None,
    settings: InferencePlan | None = None,
    value_range: ValueRange | None = None,
    device: str = "auto",
    precision: str | None = None,
    track: Track = silent,
) -> PredictResult:
    """Predict images and write the results to a folder.

    ``out/masks/NAME.png`` has the size of the image and the label values of the training masks;
    ``out/overlays/NAME.png`` shows it on the image; ``out/probabilities/NAME.npy`` is (K, H, W) float16.
    If an image cannot be predicted, this is reported and the others are processed.

    Objects are written to ``out/instances.json`` in COCO's format; ``out/instances/NAME.png`` has the ids of
    those with a score of 0.5 or more, in order of decreasing score from 1. Panoptic segments are written to
    ``out/panoptic.json`` and ``out/panoptic/NAME.png``, whose colours are COCO segment ids, beside ``masks/``
    with the classes.

    Args:
        model: A model folder, a run folder, or a loaded predictor.
        paths: Images, folders, globs and ``.txt`` lists.
        out: The output folder, outside the folders in `paths`; files of an earlier prediction are replaced,
            others never.
        overlay: Whether to write overlays.
        probabilities: Whether to write probabilities.
        compare: A labelled folder with these images: ``out/comparisons/NAME.png`` shows image, truth,
            prediction, and the map of hits and errors. Images without labels there are shown without truth.
        settings: Window, overlap, flips and scales; defaults to those of the model's plan.
        value_range: As in `load`.
        device: As in `load`.
        precision: As in `load`.
        track: Shows progress.

    Raises:
        ModelError: The model cannot be loaded.
        DataError: There are no images, the output folder cannot be written or is inside a folder in `paths`,
            or the classes of `compare` differ from the model's.
        ConfigError: The output folder has a file of the same name that limner did not write.
    """
    named = [paths] if isinstance(paths, (str, Path)) else list(paths)
    _refuse_inside(Path(out).expanduser(), named)
    images = list_images(named)
    if not images:
        raise DataError("There is nothing to predict: no images were specified.")
    if isinstance(model, Predictor):
        predictor = model
    else:
        predictor = load_predictor(
            model, device=device, precision=precision, settings=settings, value_range=value_range
        )
    truth = None if compare is None else Truth(compare, predictor)
    task, labels = predictor.task, predictor.labels
    folder = PredictionFolder(Path(out).expanduser(), overlay, probabilities)
    make_output_folder(folder.root)
    masks: list[Path] = []
    failures: list[Failure] = []
    read = read_ahead(images, lambda image: read_image(image.path))
    with own_outputs(folder.root, by="predict"), task.writer(folder, labels) as writer:
        for item, pictured in track(read, "Predicting", len(images)):
            try:
                picture = pictured()
                prediction = predictor.predict(
                    picture.array, name=str(item.path), probabilities=probabilities
                )
                true = None if truth is None else truth.of(item.path)
            except DataError as error:
                failures.append(Failure(item.path, str(error)))
                continue
            try:
                file_name = str(item.path)
                masks.append(writer.write(prediction, picture, output=item.output, file_name=file_name))
                if truth is not None:
                    drawn = task.draw(picture.array, prediction, labels, truth=true, title=item.path.name)
                    folder.write_picture(COMPARISONS, item.output, drawn)
            except OSError as error:
                raise cannot_write(folder.root, error) from error
    return PredictResult(folder.root, tuple(masks), tuple(failures), writer.path)


def _refuse_inside(out: Path, named: Sequence[str | Path]) -> None:
    """Refuse an output folder whose files a repeated prediction would take for images.

    Raises:
        DataError: It is a folder to predict, or inside one.
    """
    for path in named:
        searched = searched_folder(Path(path).expanduser())
        if searched is not None and out.resolve().is_relative_to(searched.resolve()):
            raise DataError(
                describe(
                    "The output folder is inside the folder of the images",
                    where=out,
                    found=f"{searched} is searched for images with its subfolders",
                    expected="an output folder elsewhere, so that results are not predicted as images",
                    fix="Choose another --out, such as one beside the folder of the images.",
                )
            )


def inference_settings(
    plan: InferencePlan,
    *,
    window: Sequence[int] | None = None,
    overlap: float | None = None,
    flips: bool | None = None,
    scales: Sequence[float] | None = None,
    resize: ResizePlan | None = None,
) -> InferencePlan:
    """Return the plan's settings, replacing those that are not None.

    Raises:
        ConfigError: A setting is out of range.
    """
    changes = {"window": window, "overlap": overlap, "flips": flips, "scales": scales, "resize": resize}
    values = plan.model_dump() | {key: value for key, value in changes.items() if value is not None}
    return parse_config(InferencePlan, values, where="the command")
