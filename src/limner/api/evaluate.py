"""`limner.evaluate()`: scores, per-image scores and pictures of a model or of predictions."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from limner.core.errors import ConfigError, DataError, ModelError, describe, did_you_mean
from limner.core.labels import LabelTable
from limner.core.notebook import notebook_table
from limner.core.prediction import Prediction
from limner.core.progress import Track, silent
from limner.core.run_folder import RunFolder
from limner.core.sample import Record, Sample
from limner.core.score_names import SCORES
from limner.devices.memory import peak_bytes
from limner.devices.processes import is_first_process, num_processes, process_rank
from limner.evaluation.error_maps import earlier_maps
from limner.evaluation.pictures import MATRIX, earlier_pictures
from limner.evaluation.scorer import Extent, Scores
from limner.evaluation.write_scores import (
    CLASS_CURVES,
    PER_CASE,
    PER_IMAGE,
    PICTURES,
    SCORES_FILE,
    SPEED,
    THRESHOLDS,
    Skipped,
    write_speed,
)
from limner.formats import open_source
from limner.formats.source import Source
from limner.inference.distributed_prediction import DistributedPredictions
from limner.inference.ensemble import Ensemble, joined_predictor, open_members
from limner.inference.measurement import Measurement, Predict
from limner.inference.open_predictor import Settings
from limner.inference.predictor import Predictor
from limner.inference.stored_predictions import open_predictions
from limner.inference.truth import labels_for
from limner.loading.splits import Splits, assign_splits
from limner.preparation.folds import read_folds
from limner.preparation.prepared_run import PreparedRun
from limner.preparation.run_splits import read_splits
from limner.storage.filled_folder import filled_folder
from limner.storage.folder_lock import locked_folder
from limner.storage.output_folder import make_output_folder, refuse_inside
from limner.storage.unfinished import marked_unfinished
from limner.storage.user_paths import user_path
from limner.storage.whole_files import remove_file
from limner.transforms.fit_values import ValueRange
from limner.weights.card import model_folder

if TYPE_CHECKING:
    from torch import nn

TIMED_IMAGES = 1000
"""Number of latest images whose times are used, which excludes warm-up."""

BY_POSITION = "The classes of the data were matched with the model's by their order, not by name."
"""Remark on scores of a model whose classes were matched by position."""

TRAINING_SPLITS = ("train", "val", "test")
"""Names reserved for results on the training's own data."""


@dataclass(frozen=True)
class EvaluateResult:
    """Result of an evaluation.

    Attributes:
        out: The folder with scores.json, per_image.csv and pictures/.
        split: Name of the split, or of other data.
        scores: Scores over all readable images, for the model's task.
        skipped: Images that could not be scored.
        pictures: The worst images, then the best.
    """

    out: Path
    split: str
    scores: Scores
    skipped: tuple[Skipped, ...]
    pictures: tuple[Path, ...]

    def _repr_html_(self) -> str:
        """Return the scores as a table, for notebooks."""
        rows = [(SCORES[name].title, float(value)) for name, value in self.scores.items() if name in SCORES]
        title = f"{self.split}: {self.scores.num_images} images"
        skipped = f"{len(self.skipped)} images could not be scored. " if self.skipped else ""
        return notebook_table(title, ("score", "value"), rows, note=f"{skipped}Everything is in {self.out}")


@dataclass(frozen=True)
class _Timed:
    """Predicts samples, and records the times of the latest ones.

    Attributes:
        predictor: The model, or several whose predictions are averaged.
        predictor_of: Instead, the model of each image by its name.
        probabilities: Whether predictions have probabilities.
        seconds: The times.
    """

    predictor: Predictor | Ensemble
    predictor_of: Mapping[str, Predictor] | None = None
    probabilities: bool = False
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=TIMED_IMAGES))

    def __call__(self, sample: Sample) -> Prediction:
        chosen = self.predictor if self.predictor_of is None else self.predictor_of[sample.name]
        started = time.perf_counter()
        found: Prediction = chosen.predict(sample.picture, name=sample.name, probabilities=self.probabilities)
        self.seconds.append(time.perf_counter() - started)
        return found


@dataclass(frozen=True)
class _Wanted:
    """Which images to score, how and where: arguments of `evaluate`."""

    data: Path | str | None
    split: str | None
    by_position: bool
    out: Path | str | None
    extent: Extent
    track: Track


def evaluate(
    run_or_model: Path | str | None = None,
    *,
    predictions: Path | str | None = None,
    data: Path | str | None = None,
    split: str | None = None,
    out: Path | str | None = None,
    by_position: bool = False,
    boundaries: bool = False,
    thresholds: bool = False,
    maps: bool = False,
    distances: bool = False,
    tolerance: float | None = None,
    settings: Settings | None = None,
    value_range: ValueRange | None = None,
    device: str = "auto",
    precision: str | None = None,
    network: "nn.Module | None" = None,
    track: Track = silent,
) -> EvaluateResult:
    """Score a model, or predictions of another program.

    Args:
        run_or_model: A run folder, or a model folder. Of a cross-validation, each validation image is scored
            by the model that was not trained on it, and other images by the mean of all models.
        predictions: Instead of a model: a folder of index masks with the values of the data's own masks,
            named like the images; or COCO JSON of objects or panoptic segments, or a folder with
            instances.json or panoptic.json; or a folder of ICDAR's text files of words, or of YOLO's of
            boxes. Requires `data`.
        data: Labelled images; defaults to those of the training.
        split: ``val``, ``test`` or ``train`` of the training, or of `data` by its layout or dataset.yaml.
            Defaults to ``val``, for `data` to every labelled image.
        out: Folder for results; defaults to ``evaluation/SPLIT``, for `data` to ``evaluation/DATA`` or
            ``evaluation/DATA-SPLIT``, in the run or the current folder.
        by_position: Match the classes of `data` with those of the model by their order instead of names.
        boundaries: Also compute boundary IoU and F1; a street scene takes about 0.2 s more.
        thresholds: Also draw PR and ROC curves and measure calibration; only for two classes.
        maps: Also write a map of the right and wrong pixels of each image; only for label maps.
        distances: Also measure distances between surfaces where the spacing is unknown, in pixels; volumes,
            and images with known spacing, are measured in any case.
        tolerance: Tolerance of the surface Dice in millimetres (pixels where the spacing is unknown);
            defaults to the largest spacing of each case.
        settings: Window, overlap, flips and scales; defaults to those of the model's plan. Only for a model,
            like the next four.
        value_range: As in `load`.
        device: As in `load`.
        precision: As in `load`.
        network: As in `load`.
        track: Shows progress.

    Raises:
        ModelError: The model cannot be loaded.
        ConfigError: The split is unknown, or the arguments contradict each other.
        DataError: The data cannot be opened, its classes are not the model's, or no image could be scored.
    """
    extent = Extent(boundaries, thresholds, uncertainty=True, maps=maps, cases=distances, tolerance=tolerance)
    wanted = _Wanted(data, split, by_position, out, extent, track)
    if predictions is not None:
        given = dict(settings=settings, value_range=value_range, precision=precision, network=network)
        given["device"] = None if device == "auto" else device
        _refuse_mixture(run_or_model, wanted, [name for name, value in given.items() if value is not None])
        return _evaluate_files(user_path(predictions), wanted)
    if run_or_model is None:
        raise ConfigError("Specify a run or a model to evaluate, or a folder of masks with --predictions.")
    members = open_members(
        run_or_model, device=device, precision=precision, settings=settings,
        value_range=value_range, network=network,
    )  # fmt: skip
    return _evaluate_model(members, _run_of(user_path(run_or_model)), wanted)


def _evaluate_model(members: Sequence[Predictor], run: RunFolder | None, wanted: "_Wanted") -> EvaluateResult:
    for member in members:
        member.share_cores()
    name, measurement = _images_to_score(members[0], run, wanted)
    usual = Path("evaluation") / name if run is None else run.evaluation(name)
    out = user_path(usual if wanted.out is None else wanted.out)
    folds = None if run is None or name != "val" else read_folds(run)
    # The folds' own images are predicted by the one model that has not seen them, so nothing is averaged.
    predictor = joined_predictor(members) if folds is None else members[0]
    predictor_of = None if folds is None else {n: members[fold] for n, fold in folds.fold_of.items()}
    measurement = replace(measurement, reduce=predictor.reduce)
    timed = _Timed(predictor, predictor_of, probabilities=measurement.extent.thresholds)
    with _protected(out, run, measurement):
        return _score_model(timed, measurement, split=name, out=out, track=wanted.track)


def _protected(out: Path, run: RunFolder | None, measurement: Measurement) -> AbstractContextManager[object]:
    """Protect other files in the output folder; everything in a run's evaluation folder is limner's."""
    if run is not None and out.resolve().is_relative_to((run.root / "evaluation").resolve()):
        return _evaluation_folder(out)
    refuse_inside(out, measurement.source.root)
    names = (
        SCORES_FILE,
        PER_IMAGE,
        PER_CASE,
        THRESHOLDS,
        CLASS_CURVES,
        SPEED,
        f"{MATRIX}.png",
        f"{MATRIX}.pdf",
    )
    earlier = [*earlier_pictures(out / PICTURES), *(earlier_maps(out) if measurement.extent.maps else [])]
    return filled_folder(out, by="evaluate", files=[*(out / name for name in names), *earlier])


@contextmanager
def _evaluation_folder(out: Path) -> Iterator[None]:
    """Fill an evaluation folder of a run, all of whose files are limner's; until the end it is marked."""
    make_output_folder(out)
    with locked_folder(out, what="limner evaluate"), marked_unfinished(out, "evaluate"):
        for path in earlier_maps(out):  # of an evaluation with --maps, which this one may not be
            remove_file(path)
        yield


def score_split(
    prepared: PreparedRun, split: str, predictor: Predictor, *, track: Track = silent
) -> EvaluateResult | None:
    """Score the model of a run on one of its splits, as `evaluate` does.

    All processes of a training call this: each predicts a part of the images, and the first one scores all.

    Args:
        prepared: The run.
        split: Name of one of its splits.
        predictor: Model of the run.
        track: Shows progress.

    Returns:
        The result in the first process, None in the others.

    Raises:
        DataError: No image could be scored.
    """
    extent = Extent(uncertainty=True)
    records = prepared.splits[split]
    measurement = Measurement(
        predictor.task, prepared.source, records, predictor.labels, extent, reduce=predictor.reduce
    )
    timed = _Timed(predictor)
    names = [record.name for record in records]
    shared = DistributedPredictions(names, timed, rank=process_rank(), num_processes=num_processes())
    if not is_first_process():
        shared.help_first(measurement.dataset().__getitem__)
        return None
    out = prepared.folder.evaluation(split)
    with shared, _evaluation_folder(out):
        return _score_model(timed, measurement, split=split, out=out, track=track, predict=shared)


def _images_to_score(predictor: Predictor, run: RunFolder | None, wanted: _Wanted) -> tuple[str, Measurement]:
    """Return the name of the results, and what to score."""
    trained_on, split = predictor.plan.data.path, wanted.split
    source = open_source(trained_on if wanted.data is None else wanted.data)
    remarks: tuple[str, ...] = ()
    is_own = run is not None and split is not None and _is_same(source.root, Path(trained_on))
    if wanted.data is None or is_own:
        name, labels = split or "val", predictor.labels
        records = _training_records(source, run, name)
    else:
        name, records = _foreign_name(source.root, split), _foreign_records(source, split)
        labels = labels_for(source, predictor, by_position=wanted.by_position)
        remarks = (BY_POSITION,) if wanted.by_position else ()
    if not records:
        raise DataError(describe("There is no labelled image to evaluate", where=source.root))
    task, value_range = predictor.task, predictor.value_range
    return name, Measurement(task, source, records, labels, wanted.extent, value_range, remarks)


def _score_model(
    timed: _Timed,
    measurement: Measurement,
    *,
    split: str,
    out: Path,
    track: Track,
    predict: Predict | None = None,
) -> EvaluateResult:
    """Score a model, by default with the predictions of this process alone."""
    found = measurement.run(predict or timed, split=split, out=out, track=track)
    device = timed.predictor.device
    write_speed(out, timed.seconds, device=str(device), peak_bytes=peak_bytes(device))
    return EvaluateResult(out, split, found.scores, found.skipped, found.pictures)


def _refuse_mixture(run_or_model: Path | str | None, wanted: _Wanted, of_model: Sequence[str]) -> None:
    """Refuse arguments of `evaluate` that predictions on disk cannot follow; `of_model` names those given."""
    if run_or_model is not None:
        raise ConfigError("Evaluate either a model or --predictions, not both.")
    if wanted.data is None:
        raise ConfigError("Specify the labelled images of the predictions with --data.")
    if wanted.extent.thresholds:
        raise ConfigError("--thresholds needs the probabilities of a model; --predictions has none.")
    if wanted.by_position:
        raise ConfigError("--by-position is for a model; --predictions have the classes of the data.")
    if of_model:
        named = ", ".join(of_model)
        raise ConfigError(f"{named}: only for a model; predictions on disk are scored as they are. Omit it.")


def _evaluate_files(given: Path, wanted: _Wanted) -> EvaluateResult:
    """Score masks, objects or segments from disk against the data's own labels."""
    source = open_source(str(wanted.data))
    labels = source.declared_labels() or _settled_labels(source, wanted.track)
    records = _foreign_records(source, wanted.split)
    if not records:
        raise DataError(describe("There is no labelled image to evaluate", where=source.root))
    name = _foreign_name(source.root, wanted.split)
    out = Path("evaluation") / name if wanted.out is None else user_path(wanted.out)
    task, labels, predict = open_predictions(given, source, labels, records)
    measurement = Measurement(task, source, records, labels, wanted.extent)
    with _protected(out, None, measurement):
        found = measurement.run(predict, split=name, out=out, track=wanted.track)
    return EvaluateResult(out, name, found.scores, found.skipped, found.pictures)


def _settled_labels(source: Source, track: Track) -> LabelTable:
    """Return the classes of data without class names, as training would infer them."""
    from limner.datasets.checked import check_opened

    return check_opened(source, track=track).settled_labels("nothing can be scored by them")


def _run_of(path: Path) -> RunFolder | None:
    """Return the run or cross-validation at this path, or the run that contains this model folder."""
    if RunFolder(path).folds.is_file():
        return RunFolder(path)
    for folder in (path, model_folder(path).parent):
        if RunFolder(folder).splits.is_file():
            return RunFolder(folder)
    return None


def _training_records(source: Source, run: RunFolder | None, split: str) -> Sequence[Record]:
    if run is None:
        raise ModelError(
            "The validation images of a model are listed in its run folder, and this model is not in one. "
            "Specify labelled images with --data, or evaluate the run folder."
        )
    splits = read_splits(run, source)
    _refuse_unknown_split(split, splits)
    return splits[split]


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == user_path(other).resolve()


def _foreign_name(root: Path, split: str | None) -> str:
    """Return a name for other data that differs from the splits of the training."""
    root = root.resolve()
    if split is not None:
        return f"{root.name}-{split}"
    return f"{root.parent.name}-{root.name}" if root.name in TRAINING_SPLITS else root.name


def _foreign_records(source: Source, split: str | None) -> Sequence[Record]:
    if split is None:
        return [record for record in source.records if record.labels]
    splits = assign_splits(source.records, source.settings, cases=source.case_of)
    _refuse_unknown_split(split, splits)
    return splits[split]


def _refuse_unknown_split(split: str, known: Splits) -> None:
    if not known.get(split):
        names = [name for name, members in known.items() if members]
        raise ConfigError(
            f"There is no split {split!r}{did_you_mean(split, names)}; there is {', '.join(names)}. "
            "To reserve images, set `splits: {test: 0.1}` in dataset.yaml before training."
        )
