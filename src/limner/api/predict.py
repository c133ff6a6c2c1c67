"""`limner.predict()`: masks with the original label values, classes, overlays and probabilities of images.

``out/masks/NAME.png`` has the size of the image and the label values of the training masks;
``out/overlays/NAME.png`` shows it on the image; ``out/probabilities/NAME.npy`` is (K, *S) float16, with the
spatial axes *S of the image. ``out/value_range.json`` has `value_range` if one is stated.

Objects are written to ``out/instances.json`` in COCO's format; ``out/instances/NAME.png`` has the ids of
those with a score of 0.5 or more, in order of decreasing score from 1. Boxes are written to
``out/boxes.json`` and, as YOLO's text with scores, to ``out/labels/NAME.txt``. Panoptic segments are
written to ``out/panoptic.json`` and ``out/panoptic/NAME.png``, whose colours are segment ids, beside
``masks/``. Words are written to ``out/words.json`` in MMOCR's format and, as for ICDAR's challenges, to
``out/words/res_NAME.txt``.

Classes of whole images are written to ``out/predictions.csv``, with a column for each class if
`probabilities` are requested.

For a labelling tool, `out` is a dataset of the tool instead, see `limner.inference.tool_drafts`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.api.image_writer import ImageWriter
from limner.api.predict_shards import predict_shared, sharing_of
from limner.api.prediction_result import Failure, PredictResult, json_and_csv
from limner.api.prediction_sinks import destination_of
from limner.core.config import parse_config
from limner.core.errors import ConfigError, DataError, did_you_mean
from limner.core.plan import InferencePlan, ResizePlan
from limner.core.progress import Track, silent
from limner.core.wording import given_options
from limner.images.read_image import read_image
from limner.inference.image_listing import searched_folder
from limner.inference.image_paths import ImagePath, list_images
from limner.inference.open_predictor import AnyPredictor, Settings, open_predictor
from limner.inference.reading_ahead import read_ahead
from limner.storage.file_states import state_of
from limner.storage.filled_folder import FilledFolder, Request, filled_folder
from limner.storage.output_folder import inside, refuse_inside
from limner.storage.remote_requests import address_of
from limner.storage.shared_folder import DiskFolder, SharedFolder
from limner.storage.user_paths import user_path
from limner.tasks.prediction_folder import PredictionFolder
from limner.transforms.fit_values import ValueRange

if TYPE_CHECKING:
    from limner.inference.tool_drafts import Drafts
    from limner.inference.truth import Truth
    from limner.inference.uncertain_images import UncertaintyProbe


def predict(
    model: Path | str | AnyPredictor | Sequence[Path | str],
    paths: Iterable[str | Path] | str | Path,
    *,
    out: Path | str,
    to: str | None = None,
    tolerance: float = 1.0,
    min_score: float | None = None,
    min_pixels: int = 0,
    uncertain: int | None = None,
    overlay: bool = True,
    probabilities: bool = False,
    sort: bool = False,
    formats: Sequence[str] = (),
    compare: Path | str | None = None,
    animation: bool = False,
    sizes: bool = False,
    resume: bool = False,
    processes: int | None = None,
    pack: str | None = None,
    ray: str | None = None,
    settings: Settings | None = None,
    value_range: ValueRange | None = None,
    device: str = "auto",
    precision: str | None = None,
    track: Track = silent,
) -> PredictResult:
    """Predict images and write the results to a folder, with ``limner-unfinished.jsonl`` until all are there.

    The module describes the files. An image that cannot be predicted is reported; the others are predicted.

    Args:
        model: A model folder, a run folder, an export, or a loaded predictor; a cross-validation or several
            models, whose probabilities are averaged, for label maps and classes of whole images. An export to
            ONNX or OpenVINO needs no PyTorch.
        paths: Images, folders, globs, ``.txt`` lists, tar archives, tables of Parquet and addresses, see
            `limner.inference.image_listing`.
        out: The output folder, outside those in `paths`; only files of earlier predictions are replaced. Also
            an address such as ``s3://bucket/results``, for which `processes` is 1 or more.
        to: A labelling tool, a name of `TOOLS`: `out`, a new folder, gets the images and what was found in
            them in the format of the tool, to be corrected there, instead of the usual results.
        tolerance: Pixels by which outlines for a tool may be off; fewer corners are easier to move.
        min_score: Leaves out objects for a tool with a lower score; None for 0.5 where there are scores of
            objects and boxes, and none of parts of label maps.
        min_pixels: Leaves out objects for a tool with fewer pixels, and counts them.
        uncertain: Number of images to choose for labelling: those that the model is least sure of and that
            differ from each other, see `limner.api.label_next`.
        overlay: Whether to write overlays.
        probabilities: Whether to write probabilities.
        sort: Whether to copy each image to ``out/sorted/CLASS/``; only for classes of whole images.
        formats: Further results: ``voc`` and ``labelme`` files of boxes, ``cutouts`` of words as images.
        compare: A labelled folder with these images: ``out/comparisons/NAME.png`` shows image, truth if there
            is one, prediction, and the map of hits and errors.
        animation: Whether to write ``out/animations/NAME.gif`` of each volume: a film through its slices with
            the prediction, and with the truth of `compare`; only for label maps of volumes.
        sizes: Whether to write ``out/sizes.csv`` with the voxels and cubic millimetres of each class and of
            each of its connected parts; only for label maps of volumes.
        resume: Continue a prediction that was interrupted; its result is as if it had not been.
        processes: Number of processes here that share the work with each other, and with all others, also on
            other hosts, that are given the same request and `out`, which is a new folder. The same request
            also continues work that was interrupted. None for one process that works alone, or 1 for an
            address and for packs.
        pack: Kind of file into which the results of some hundred images are packed, a name of
            `limner.api.prediction_packs.PACKS`; None for files of each image.
        ray: Address of a Ray cluster, or ``local`` or ``auto``, whose tasks do the work instead of processes
            here; `processes` is their number then, by default one on each GPU or machine.
        settings: Window, overlap, flips and scales; defaults to those of the model's plan.
        value_range: As in `load`.
        device: As in `load`.
        precision: As in `load`.
        track: Shows progress.

    Raises:
        ModelError: The model cannot be loaded.
        DataError: There are no images, `out` is inside a folder in `paths`, or other classes in `compare`.
        ConfigError: `out` has files that limner did not write, or an interrupted prediction.
        MissingPartError: A library for an address, a table or a pack is not installed.
        UnreachableError: A server fails; `resume`, or the same request with `processes`, continues.
        WriteError: A file cannot be written; `resume` continues.
    """
    of_drafts = {"--tolerance": tolerance != 1.0, "--min-score": min_score is not None}
    of_drafts |= {"--min-pixels": min_pixels != 0}
    usual = {"--probabilities": probabilities, "--sort": sort, "--format": bool(formats), "--sizes": sizes}
    usual |= {"--uncertain": uncertain is not None, "--compare": compare is not None}
    usual |= {"--animation": animation}
    _refuse_unused(to, of_drafts, usual)
    named = [paths] if isinstance(paths, (str, Path)) else list(paths)
    sharing = sharing_of(destination_of(out, pack), processes, ray, device=device)
    _refuse_searched(named, sharing.destination.place)
    if sharing.is_shared:
        _refuse_sharing({"--to": to is not None, "--uncertain": uncertain is not None})
    images = () if sharing.is_shared else list_images(named)
    predictor = open_predictor(
        model, device=device, precision=precision, settings=settings, value_range=value_range
    )
    if to is not None:
        draft = {"tool": to, "tolerance": tolerance, "least_score": min_score, "least_pixels": min_pixels}
        return _predict_drafts(predictor, images, out, draft, resume=resume, track=track)
    folder = PredictionFolder(user_path(out), overlay, probabilities, tuple(formats), sort, sizes)
    _refuse_unsuitable(predictor, folder, is_packed=sharing.destination.is_packed)
    _refuse_for_images(predictor, {"--animation": animation, "--sizes": sizes})
    truth = None if compare is None else _truth(compare, predictor)
    probe = None if uncertain is None else _probe(predictor, uncertain)
    is_packed = sharing.destination.is_packed
    writer = ImageWriter(predictor, folder, truth, animation, probe, uncertain or 0, is_packed)
    if sharing.is_shared:
        options: dict[str, Any] = {"overlay": overlay, "probabilities": probabilities, "sort": sort}
        options |= {"compare": compare, "animation": animation, "sizes": sizes, "settings": settings}
        options |= {"value_range": value_range, "device": device, "precision": precision}
        options |= {"formats": tuple(formats), "pack": pack}
        join = partial(predict, model, named, out=out, processes=1, **options)
        return predict_shared(writer, named, sharing, join=join, compare=compare, track=track)
    return _predict_images(images, writer, compare, resume=resume, track=track)


def _predict_images(
    images: Sequence[ImagePath],
    writer: ImageWriter,
    compare: Path | str | None,
    *,
    resume: bool,
    track: Track,
) -> PredictResult:
    """Predict the images that an interrupted prediction has not finished, or all, and sum up."""
    writer.predictor.share_cores()
    root = writer.folder.root
    request = Request(writer.asked(_state_of_images(images), compare), resume=resume)
    with filled_folder(root, by="predict", files=writer.all_files(images), request=request) as filled:
        writer.resume(filled.entries(item.output for item in images))
        failures = _predict_missing(images, writer, filled, track)
        done = [item for item in images if filled.has(item.output)]
        entries = filled.entries(item.output for item in done)
        written = writer.finish(entries)
        chosen = writer.choose_next(done, entries)
    masks = tuple(path for item in done for path in writer.files(item)[:1])
    return PredictResult(root, masks, failures, *json_and_csv(written), len(done), label_next=chosen)


def _probe(predictor: AnyPredictor, count: int) -> "UncertaintyProbe":
    """Return the probe that measures images; it needs PyTorch, which other predictions may not."""
    from limner.api.label_next import probe_for

    return probe_for(predictor, count)


def _truth(data: Path | str, predictor: AnyPredictor) -> "Truth":
    """Return the labels of the images; reading a dataset imports PyTorch, which predicting may not need."""
    from limner.inference.truth import Truth

    return Truth(data, predictor)


def _refuse_for_images(predictor: AnyPredictor, asked: Mapping[str, bool]) -> None:
    """Refuse options that are for label maps of volumes, if the model predicts something else."""
    takes_volumes = predictor.plan.input.takes_volumes
    for option, is_asked in asked.items():
        if is_asked and not (takes_volumes and predictor.task.has_label_maps):
            raise ConfigError(
                f"{option} is for label maps of volumes; this model's task is {predictor.task.name!r}, of "
                f"{'volumes' if takes_volumes else 'images'}. Omit {option}."
            )


def _refuse_unused(to: str | None, of_drafts: Mapping[str, bool], usual: Mapping[str, bool]) -> None:
    """Refuse options of the usual results with a labelling tool, and those of its drafts without one.

    Raises:
        ConfigError: One of them is given.
    """
    named = given_options(of_drafts if to is None else usual)
    if named and to is None:
        raise ConfigError(
            f"{named} has no effect without --to, which writes drafts for a tool: the usual results are "
            "complete. Add --to TOOL, or omit it."
        )
    if named:
        raise ConfigError(
            f"--to writes a dataset for a labelling tool and nothing else, so {named} has no effect. Omit "
            "it, or predict a second time without --to into another folder."
        )


def _predict_drafts(
    predictor: AnyPredictor,
    images: Sequence[ImagePath],
    out: Path | str,
    options: Mapping[str, Any],
    *,
    resume: bool,
    track: Track,
) -> PredictResult:
    """Write the drafts of all images into a free folder, with the options of `drafts_for`."""
    # Writing datasets imports PyTorch, which predicting may not need.
    from limner.datasets.conversion import free_folder
    from limner.inference.tool_drafts import TABLE, drafts_for

    drafts = drafts_for(predictor, images, free_folder(user_path(out), resume=resume), **options)
    predictor.share_cores()
    asked = {
        "model": predictor.weights_hash,
        "images": _state_of_images(images),
        "tool": drafts.options,
        "options": f"{predictor.settings}, range {predictor.value_range}, precision {predictor.precision}",
    }
    request = Request(asked, resume=resume)
    with filled_folder(drafts.root, by="predict", request=request, is_shared=False) as filled:
        failures = _predict_missing(images, drafts, filled, track)
        done = [item.output for item in images if filled.has(item.output)]
        fidelity = drafts.finish(filled.entries(done))
    csv = None if fidelity is None else drafts.root / TABLE
    return PredictResult(drafts.root, (), failures, csv=csv, num_predicted=len(done), fidelity=fidelity)


def _predict_missing(
    images: Sequence[ImagePath], writer: "ImageWriter | Drafts", filled: FilledFolder, track: Track
) -> tuple[Failure, ...]:
    """Predict the images that are not finished, and return those that cannot be predicted."""
    failures: list[Failure] = []
    missing = [item for item in images if not filled.has(item.output)]
    reduce = writer.predictor.reduce
    read = read_ahead(missing, lambda image: read_image(image.path, reduce=reduce))
    for item, picture in track(read, "Predicting", len(missing)):
        try:
            filled.add(item.output, writer.write(item, picture()))
        except DataError as error:
            failures.append(Failure(item.path, str(error)))
    return tuple(failures)


def _state_of_images(images: Sequence[ImagePath]) -> str:
    """Return the number of the images and the state of their files and names."""
    outputs = "\n".join(image.output for image in images)
    return f"{len(images)} images, state {state_of((i.path for i in images), outputs)}"


def _refuse_unsuitable(predictor: AnyPredictor, folder: PredictionFolder, *, is_packed: bool) -> None:
    """Reject outputs that the model's task, or a pack, does not have.

    Raises:
        ConfigError: The task or the pack does not have an output.
    """
    task = predictor.task
    if is_packed:
        _refuse_packing(predictor, folder)
    if folder.sorting and not task.allowed.sorting:
        raise ConfigError(
            f"--sort is for classes of whole images; this model's task is {task.name!r}. Omit --sort."
        )
    able = task.prediction_formats
    unknown = [name for name in folder.formats if name not in able]
    if unknown:
        fix = f"Choose of {', '.join(able)}." if able else "Omit --format."
        raise ConfigError(
            f"The {task.name} task cannot write predictions as {', '.join(unknown)}"
            f"{did_you_mean(unknown[0], able)}. {fix}"
        )


def _refuse_searched(named: Iterable[str | Path], out: SharedFolder) -> None:
    """Refuse an output folder inside one of the folders of the images.

    Raises:
        DataError: It is inside one.
    """
    for path in named:
        address = address_of(path)
        if not isinstance(out, DiskFolder):
            if address is not None and address.endswith("/") and f"{out.where}/".startswith(address):
                raise inside(out.where, address)
            continue
        searched = searched_folder(user_path(path))
        if searched is not None:
            refuse_inside(out.path, searched)


def _refuse_sharing(given: Mapping[str, bool]) -> None:
    """Refuse options for which processes cannot share the work.

    Raises:
        ConfigError: One of the options is given.
    """
    for option, is_given in given.items():
        if is_given:
            raise ConfigError(
                f"{option} needs one process, which sees all images, and a folder on a disk. Omit "
                f"--processes, --pack and addresses for --out, or {option}."
            )


def _refuse_packing(predictor: AnyPredictor, folder: PredictionFolder) -> None:
    """Refuse results that packs cannot contain.

    Raises:
        ConfigError: The model predicts volumes, or files are requested whose number differs between images.
    """
    if predictor.plan.input.takes_volumes:
        raise ConfigError("--pack is for images; this model predicts volumes. Omit --pack.")
    given = {"--sort": folder.sorting, "--format cutouts": "cutouts" in folder.formats}
    for option, is_given in given.items():
        if is_given:
            raise ConfigError(
                f"{option} writes folders of files, which are not packed. Omit --pack, or {option}."
            )


def inference_settings(
    plan: InferencePlan,
    *,
    window: Sequence[int] | None = None,
    overlap: float | None = None,
    flips: bool | None = None,
    scales: Sequence[float] | None = None,
    resize: ResizePlan | None = None,
    largest_component: Sequence[str] | None = None,
) -> InferencePlan:
    """Return the plan's settings, replacing those that are not None.

    Raises:
        ConfigError: A setting is out of range.
    """
    changes = {
        "window": window,
        "overlap": overlap,
        "flips": flips,
        "scales": scales,
        "resize": resize,
        "largest_component": largest_component,
    }
    values = plan.model_dump() | {key: value for key, value in changes.items() if value is not None}
    return parse_config(InferencePlan, values, where="the command")
