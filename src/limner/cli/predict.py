"""`limner predict MODEL... PATHS... --out DIR`: prediction of images."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.inference_options import InferenceOptions
from limner.cli.option_groups import with_option_groups

if TYPE_CHECKING:
    from limner.api.prediction_result import PredictResult
    from limner.inference.tool_drafts import OutlineFidelity


@dataclass(frozen=True)
class FilesToWrite:
    """Files that are written besides the predictions themselves."""

    overlay: Annotated[bool, typer.Option(help="Draw the classes on each image.")] = True
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write the probability of each class.")
    ] = False
    sort: Annotated[
        bool, typer.Option("--sort", help="Classification: copy each image to a folder of its class.")
    ] = False
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="Also write the boxes of each image as voc or labelme, without the images, or words as "
            "cutouts (images); repeatable.",
        ),
    ] = None
    compare: Annotated[
        Path | None,
        typer.Option(help="Labelled folder of the images: also draw truth, hits and errors."),
    ] = None
    animation: Annotated[bool, typer.Option("--animation", help="Also write a GIF through each volume.")] = (
        False
    )
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Also write the volume of each class and part in mm3.")
    ] = False


@dataclass(frozen=True)
class DraftOptions:
    """Drafts for a labelling tool, which are written instead of the usual results."""

    to: Annotated[
        str | None,
        typer.Option(
            help="Write a dataset for a labelling tool, to be corrected there: labelme, coco, yolo, cvat, "
            "label-studio or voc."
        ),
    ] = None
    tolerance: Annotated[
        float, typer.Option(help="With --to: maximum error of outlines in pixels; 0 keeps every pixel.")
    ] = 1.0
    min_score: Annotated[
        float | None, typer.Option(help="With --to: leave out objects with a lower score.")
    ] = None
    min_pixels: Annotated[
        int, typer.Option(help="With --to: leave out objects with fewer pixels, such as specks of noise.")
    ] = 0


@dataclass(frozen=True)
class WorkOptions:
    """How the work is divided and continued."""

    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted prediction.")] = False
    processes: Annotated[
        int | None,
        typer.Option(
            help="Share the work between this number of processes, and with those that the same command "
            "starts on other hosts; run it again to continue after an interruption."
        ),
    ] = None
    pack: Annotated[
        str | None,
        typer.Option(
            help="Pack the results of some hundred images into one file: tar (archives for WebDataset, with "
            "the images) or parquet (a row for each image)."
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Let --processes tasks of a Ray cluster work: auto, local, ray://HOST:PORT or HOST:PORT.",
        ),
    ] = None


@with_option_groups
def predict(
    model: Annotated[
        Path, typer.Argument(help="A model folder, or the run that contains it; a run of --folds.")
    ],
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders, globs, .txt lists, tar archives, Parquet tables, or addresses such as "
            "s3://; further models before them are averaged."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the results, or an address such as s3://.")
    ],
    *,
    drafts: DraftOptions,
    uncertain: Annotated[
        int | None,
        typer.Option(
            help="Also choose this number of images to label next: images about which the model is least "
            "certain, and which differ from each other."
        ),
    ] = None,
    files: FilesToWrite,
    work: WorkOptions,
    inference: InferenceOptions,
) -> None:
    """Predict images.

    Writes overlays, and masks in your label values, objects, boxes or words at the size of each image, or a
    table of classes of whole images.
    """
    from limner.api.predict import predict as predict_images
    from limner.cli.console import tracker

    models, images = _models_and_images(model, paths)
    _show(
        predict_images(
            models,
            images,
            settings=inference.settings,
            value_range=inference.value_range,
            device=inference.device,
            precision=inference.precision or None,
            out=out,
            to=drafts.to,
            tolerance=drafts.tolerance,
            min_score=drafts.min_score,
            min_pixels=drafts.min_pixels,
            uncertain=uncertain,
            overlay=files.overlay,
            probabilities=files.probabilities,
            sort=files.sort,
            formats=files.formats or (),
            compare=files.compare,
            animation=files.animation,
            sizes=files.sizes,
            resume=work.resume,
            processes=work.processes,
            pack=work.pack,
            ray=work.ray,
            track=tracker(),
        )
    )


def _models_and_images(model: Path, paths: list[str]) -> tuple[list[str | Path], list[str]]:
    """Divide the arguments into models and images: those before the first that is no model are models.

    Raises:
        ConfigError: There are only models.
    """
    from limner.core.errors import ConfigError
    from limner.weights.card import is_model

    number = next((n for n, path in enumerate(paths) if not is_model(path)), len(paths))
    if number == len(paths):
        raise ConfigError(f"Specify images after the models: limner predict {model} {' '.join(paths)} IMAGES")
    return [model, *paths[:number]], paths[number:]


def _show(result: "PredictResult") -> None:
    """Print what was predicted; the exit code is 1 if an image could not be."""
    from limner.api.shared_work import lost_words
    from limner.cli.console import console, messages
    from limner.storage.remote_requests import address_of

    for failure in result.failures:
        messages().print(f"skipped {failure.path}: {failure.reason}", style="error")
    total = result.num_predicted + len(result.failures)
    where = result.out if result.fidelity is not None else result.csv or result.out
    at = address_of(where) or where
    console().print(f"{result.num_predicted} of {total} images predicted; the results are in {at}")
    if result.num_lost:
        messages().print(lost_words(result.num_lost), style="warning")
    if result.fidelity is not None:
        console().print(_outlines(result.fidelity))
    if result.label_next is not None:
        console().print(f"{result.label_next.words}.")
        console().print(f"The {result.label_next.num_chosen} images to label next: {result.label_next.page}")
    if result.failures:
        raise typer.Exit(1)


def _outlines(fidelity: "OutlineFidelity") -> str:
    """Return how many objects were written, and how well outlines keep their masks."""
    small = f", {fidelity.num_small} smaller ones left out" if fidelity.num_small else ""
    if fidelity.mean_iou is None:
        return f"{fidelity.num_objects} objects{small}"
    return (
        f"{fidelity.num_objects} objects{small}; outlines within {fidelity.tolerance:g} pixels, "
        f"IoU with the masks: mean {fidelity.mean_iou:.3f}, lowest {fidelity.least_iou:.3f} "
        f"({fidelity.least_image})"
    )
