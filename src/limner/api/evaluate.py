"""`limner.evaluate()`: scores, per-image scores and pictures of a model or of predictions."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from limner.core.errors import ConfigError, DataError, ModelError, describe, did_you_mean
from limner.core.labels import LabelTable
from limner.core.plan import InferencePlan
from limner.core.prediction import Prediction
from limner.core.progress import Track, silent
from limner.core.run_folder import RunFolder
from limner.core.sample import Record, Sample
from limner.devices.memory import peak_bytes
from limner.evaluation.pictures import MATRIX, WorstAndBest, earlier_pictures, write_matrix
from limner.evaluation.predicted_masks import PredictedMasks
from limner.evaluation.predicted_objects import PredictedObjects, results_file
from limner.evaluation.scorer import Extent, Scorer, Scores
from limner.evaluation.semantic_scores import SemanticScores
from limner.evaluation.write_scores import (
    PER_IMAGE,
    PICTURES,
    SCORES_FILE,
    SPEED,
    THRESHOLDS,
    PerImageFile,
    Skipped,
    write_scores,
    write_speed,
)
from limner.formats import open_source
from limner.formats.coco.coco_results import read_results
from limner.formats.source import Source
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.inference.reading_ahead import read_ahead
from limner.inference.truth import labels_for
from limner.loading.dataset import Dataset
from limner.loading.splits import Splits, assign_splits
from limner.planning.task_choice import check_labels
from limner.preparation.prepared_run import PreparedRun
from limner.preparation.run_splits import read_splits
from limner.storage.filled_folder import filled_folder
from limner.storage.output_folder import make_output_folder, refuse_inside
from limner.tasks import find_task
from limner.tasks.task import Task
from limner.transforms.fit_values import ValueRange
from limner.weights.card import model_folder

if TYPE_CHECKING:
    from torch import nn

Predict = Callable[[Sample], Prediction]
"""Prediction of a sample, by a model or from the files of another program."""

NUM_PICTURES = 12
"""Number of worst images to draw, and of best images."""

TIMED_IMAGES = 1000
"""Number of latest images whose times are used, which excludes warm-up."""

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


def evaluate(
    run_or_model: Path | str | None = None,
    *,
    predictions: Path | str | None = None,
    data: Path | str | None = None,
    split: str | None = None,
    out: Path | str | None = None,
    boundaries: bool = False,
    thresholds: bool = False,
    settings: InferencePlan | None = None,
    value_range: ValueRange | None = None,
    device: str = "auto",
    precision: str | None = None,
    network: "nn.Module | None" = None,
    track: Track = silent,
) -> EvaluateResult:
    """Score a model, or predictions of another program.

    Args:
        run_or_model: A run folder, or a model folder.
        predictions: Instead of a model: a folder of index masks with the values of the data's own masks,
            named like the images; or COCO JSON of objects or panoptic segments, or a folder with
            instances.json or panoptic.json. Requires `data`.
        data: Labelled images; defaults to those of the training.
        split: ``val``, ``test`` or ``train``: the same images as in the training, or those of `data`
            according to its layout or dataset.yaml. Defaults to ``val``, for `data` to every labelled image.
        out: Folder for results; defaults to ``evaluation/SPLIT`` in the run, or the current folder. Results
            on other data never overwrite those on the training's: they are in ``evaluation/DATA`` or
            ``evaluation/DATA-SPLIT``.
        boundaries: Also compute boundary IoU and F1; a street scene takes about 0.2 s more.
        thresholds: Also draw PR and ROC curves and measure calibration; only for two classes.
        settings: Window, overlap, flips and scales; defaults to those of the model's plan.
        value_range: As in `load`; only for a model.
        device: As in `load`.
        precision: As in `load`.
        network: As in `load`.
        track: Shows progress.

    Raises:
        ModelError: The model cannot be loaded.
        ConfigError: The split is unknown, or the arguments contradict each other.
        DataError: The data cannot be opened, its classes are not the model's, or no image could be scored.
    """
    extent = Extent(boundaries, thresholds, uncertainty=True)
    if predictions is not None:
        _refuse_mixture(run_or_model, data, thresholds=thresholds)
        return _evaluate_files(
            Path(predictions).expanduser(), str(data), split=split, out=out, extent=extent, track=track
        )
    if run_or_model is None:
        raise ConfigError("Specify a run or a model to evaluate, or a folder of masks with --predictions.")
    predictor = load_predictor(
        run_or_model,
        device=device,
        precision=precision,
        settings=settings,
        value_range=value_range,
        network=network,
    )
    run = _run_of(Path(run_or_model).expanduser())
    name, measurement = _images_to_score(predictor, run, data, split, extent)
    if out is None:
        out = Path("evaluation") / name if run is None else run.evaluation(name)
    out = Path(out).expanduser()
    with _protected(out, run, measurement):
        return _score_model(predictor, measurement, split=name, out=out, track=track)


def _protected(
    out: Path, run: RunFolder | None, measurement: "_Measurement"
) -> AbstractContextManager[object]:
    """Protect other files in the output folder; everything in a run's evaluation folder is limner's."""
    if run is not None and out.resolve().is_relative_to((run.root / "evaluation").resolve()):
        return nullcontext()
    refuse_inside(out, measurement.source.root)
    names = (SCORES_FILE, PER_IMAGE, THRESHOLDS, SPEED, f"{MATRIX}.png", f"{MATRIX}.pdf")
    pictures = earlier_pictures(out / PICTURES)
    return filled_folder(out, by="evaluate", files=[*(out / name for name in names), *pictures])


def score_split(
    prepared: PreparedRun, split: str, predictor: Predictor, *, track: Track = silent
) -> EvaluateResult:
    """Score the model of a run on one of its splits, as `evaluate` does.

    Args:
        prepared: The run.
        split: Name of one of its splits.
        predictor: Model of the run.
        track: Shows progress.

    Raises:
        DataError: No image could be scored.
    """
    extent = Extent(uncertainty=True)
    records = prepared.splits[split]
    measurement = _Measurement(predictor.task, prepared.source, records, predictor.labels, extent)
    out = prepared.folder.evaluation(split)
    return _score_model(predictor, measurement, split=split, out=out, track=track)


def _images_to_score(
    predictor: Predictor, run: RunFolder | None, data: Path | str | None, split: str | None, extent: Extent
) -> tuple[str, "_Measurement"]:
    """Return the name of the results, and what to score."""
    trained_on = predictor.plan.data.path
    source = open_source(trained_on if data is None else data)
    if data is None or (run is not None and split is not None and _is_same(source.root, Path(trained_on))):
        name, labels = split or "val", predictor.labels
        records = _training_records(source, run, name)
    else:
        name, labels = _foreign_name(source.root, split), labels_for(source, predictor)
        records = _foreign_records(source, split)
    if not records:
        raise DataError(describe("There is no labelled image to evaluate", where=source.root))
    return name, _Measurement(predictor.task, source, records, labels, extent)


def _score_model(
    predictor: Predictor, measurement: "_Measurement", *, split: str, out: Path, track: Track
) -> EvaluateResult:
    seconds: deque[float] = deque(maxlen=TIMED_IMAGES)
    probabilities = measurement.extent.thresholds
    predict = partial(_predict, predictor, probabilities=probabilities, seconds=seconds)
    result = measurement.run(predict, split=split, out=out, track=track)
    device = str(predictor.device)
    write_speed(result.out, seconds, device=device, peak_bytes=peak_bytes(predictor.device))
    return result


def _refuse_mixture(run_or_model: Path | str | None, data: Path | str | None, *, thresholds: bool) -> None:
    if run_or_model is not None:
        raise ConfigError("Evaluate either a model or --predictions, not both.")
    if data is None:
        raise ConfigError("Specify the labelled images of the predictions with --data.")
    if thresholds:
        raise ConfigError("--thresholds needs the probabilities of a model; --predictions has none.")


def _evaluate_files(
    given: Path, data: str, *, split: str | None, out: Path | str | None, extent: Extent, track: Track
) -> EvaluateResult:
    """Score masks, objects or segments from disk against the data's own labels."""
    source = open_source(data)
    labels = source.declared_labels() or _settled_labels(data, track)
    records = _foreign_records(source, split)
    if not records:
        raise DataError(describe("There is no labelled image to evaluate", where=source.root))
    name = _foreign_name(source.root, split)
    file = results_file(given)
    predict: Predict
    out = Path("evaluation") / name if out is None else Path(out).expanduser()
    if file is None:
        task, predict = find_task("semantic"), PredictedMasks(given, labels).predict
    else:
        results = read_results(file)
        check_labels(source, results.kind)
        task = find_task(results.kind)
        labels = task.labels(labels)
        predict = PredictedObjects(results, labels, records).predict
    measurement = _Measurement(task, source, records, labels, extent)
    with _protected(out, None, measurement):
        return measurement.run(predict, split=name, out=out, track=track)


def _settled_labels(data: str, track: Track) -> LabelTable:
    """Return the classes of data without class names, as training would infer them."""
    from limner.datasets.checked import check_dataset

    return check_dataset(Path(data), track=track).settled_labels("nothing can be scored by them")


def _predict(
    predictor: Predictor, sample: Sample, *, probabilities: bool, seconds: deque[float]
) -> Prediction:
    """Predict, and record the time."""
    started = time.perf_counter()
    found: Prediction = predictor.predict(sample.image, name=sample.name, probabilities=probabilities)
    seconds.append(time.perf_counter() - started)
    return found


@dataclass(frozen=True)
class _Measurement:
    """Scoring of predictions of one task on labelled images."""

    task: Task
    source: Source
    records: Sequence[Record]
    labels: LabelTable
    extent: Extent

    def run(self, predict: Predict, *, split: str, out: Path, track: Track) -> EvaluateResult:
        """Score every image and write scores.json, per_image.csv and pictures/ one by one.

        Raises:
            ConfigError: The task does not support the requested scores.
            DataError: No image could be scored.
        """
        scorer = self.task.scorer(self.labels, self.extent)
        dataset = Dataset(self.source, self.records, self.labels, targets=self.task.targets, cache=None)
        make_output_folder(out)
        pictures = WorstAndBest(
            out / PICTURES,
            self.labels,
            draw=self.task.draw,
            rank_title=scorer.rank_title,
            count=NUM_PICTURES,
        )
        skipped: list[Skipped] = []
        samples = read_ahead(range(len(dataset)), dataset.__getitem__)
        with PerImageFile(out, scorer.columns) as rows:
            for index, sample in track(samples, "Evaluating", len(dataset)):
                try:
                    _measure_one(predict, sample(), scorer, rows, pictures)
                except DataError as error:
                    skipped.append(Skipped(dataset.records[index].name, str(error)))
        if scorer.num_images == 0:
            first = skipped[0].reason
            raise DataError(f"None of the {len(dataset)} images could be scored. The first problem:\n{first}")
        scores = scorer.compute()
        write_scores(out, scores, split=split, skipped=skipped)
        if isinstance(scores, SemanticScores):
            write_matrix(out, scores, split=split)
        return EvaluateResult(out, split, scores, tuple(skipped), pictures.finish())


def _measure_one(
    predict: Predict, sample: Sample, scorer: Scorer, rows: PerImageFile, pictures: WorstAndBest
) -> None:
    prediction = predict(sample)
    scores = scorer.score(prediction, sample)
    rows.write(scores)
    pictures.offer(scores, sample, prediction)


def _run_of(path: Path) -> RunFolder | None:
    """Return the run at this path, or that contains this model folder."""
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
    return one.resolve() == other.expanduser().resolve()


def _foreign_name(root: Path, split: str | None) -> str:
    """Return a name for other data that differs from the splits of the training."""
    root = root.resolve()
    if split is not None:
        return f"{root.name}-{split}"
    return f"{root.parent.name}-{root.name}" if root.name in TRAINING_SPLITS else root.name


def _foreign_records(source: Source, split: str | None) -> Sequence[Record]:
    if split is None:
        return [record for record in source.records if record.labels]
    splits = assign_splits(source.records, source.settings)
    _refuse_unknown_split(split, splits)
    return splits[split]


def _refuse_unknown_split(split: str, known: Splits) -> None:
    if not known.get(split):
        names = [name for name, members in known.items() if members]
        raise ConfigError(
            f"There is no split {split!r}{did_you_mean(split, names)}; there is {', '.join(names)}. "
            "To reserve images, set `splits: {test: 0.1}` in dataset.yaml before training."
        )
