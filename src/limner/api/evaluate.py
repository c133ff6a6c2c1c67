"""`limner.evaluate`: a model against labelled images, into scores, per-image scores and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limner.api.load import load, model_folder
from limner.api.output_folder import make_output_folder
from limner.api.run_splits import read_splits
from limner.core.errors import ConfigError, DataError, ModelError, describe, did_you_mean
from limner.core.labels import LabelTable
from limner.core.plan import InferencePlan
from limner.core.progress import Track, silent
from limner.core.run_folder import RunFolder
from limner.core.sample import Record, Sample
from limner.evaluation.files import PICTURES, PerImageFile, Skipped, write_scores
from limner.evaluation.label_match import match_labels
from limner.evaluation.pictures import WorstAndBest
from limner.evaluation.scorer import Scorer, Scores, build_scorer
from limner.formats import open_source
from limner.formats.source import Source
from limner.inference.predictor import Predictor
from limner.inference.reading_ahead import read_ahead
from limner.loading.dataset import Dataset, targets_of
from limner.loading.splits import Splits, assign_splits
from limner.planning.pairing import check_labels

if TYPE_CHECKING:
    from torch import nn

TRAINING_SPLITS = ("train", "val", "test")
"""Names of results that belong to the data of the training alone."""


@dataclass(frozen=True)
class EvaluateResult:
    """What was measured.

    Attributes:
        out: The folder with scores.json, per_image.csv and pictures/.
        split: Which split, or the name of foreign data.
        scores: The scores of all images that could be read, of the model's task.
        skipped: The images that could not.
        pictures: The worst images, then the best.
    """

    out: Path
    split: str
    scores: Scores
    skipped: tuple[Skipped, ...]
    pictures: tuple[Path, ...]


def evaluate(
    run_or_model: Path | str,
    *,
    data: Path | str | None = None,
    split: str | None = None,
    out: Path | str | None = None,
    settings: InferencePlan | None = None,
    device: str = "auto",
    precision: str | None = None,
    network: "nn.Module | None" = None,
    track: Track = silent,
) -> EvaluateResult:
    """Measure a model.

    Args:
        run_or_model: A run folder, or a model folder.
        data: Labelled images; None takes those of the training.
        split: ``val``, ``test`` or ``train``: the same images as in the training, or of `data` those that its
            layout or its dataset.yaml says. None takes ``val``, and of `data` every labelled image.
        out: Where results go; None takes ``evaluation/SPLIT`` in the run, or in the current folder. Results
            of other data never take the place of the training's: they go to ``evaluation/DATA``, or to
            ``evaluation/DATA-SPLIT``.
        settings: Window, overlap, flips and scales; None takes those of the model's plan.
        device: As in `load`.
        precision: As in `load`.
        network: As in `load`.
        track: Shows progress.

    Raises:
        ModelError: The model cannot be loaded.
        ConfigError: There is no such split.
        DataError: The data cannot be opened, its classes are not the model's, or no image could be scored.
    """
    predictor = load(run_or_model, device=device, precision=precision, settings=settings, network=network)
    run = _run_of(Path(run_or_model).expanduser())
    trained_on = predictor.plan.data.path
    source = open_source(trained_on if data is None else data)
    if data is None or (run is not None and split is not None and _is_same(source.root, Path(trained_on))):
        name, labels = split or "val", predictor.labels
        records = _training_records(source, run, name)
    else:
        name, labels = _foreign_name(source.root, split), _foreign_labels(source, predictor)
        records = _foreign_records(source, split)
    if not records:
        raise DataError(describe("There is no labelled image to evaluate", where=source.root))
    if out is None:
        out = Path("evaluation") / name if run is None else run.evaluation(name)
    dataset = Dataset(source, records, labels, gives=targets_of(predictor.plan.task), cache=None)
    return measure(predictor, dataset, split=name, out=Path(out).expanduser(), track=track)


def measure(
    predictor: Predictor,
    dataset: Dataset,
    *,
    split: str,
    out: Path,
    num_pictures: int = 4,
    track: Track = silent,
) -> EvaluateResult:
    """Score every image of a dataset and write scores.json, per_image.csv and pictures/ as they come.

    Raises:
        DataError: Not one image could be scored.
    """
    make_output_folder(out)
    scorer = build_scorer(predictor.plan.task, predictor.labels)
    pictures = WorstAndBest(
        out / PICTURES, predictor.labels, count=num_pictures, rank_title=scorer.rank_title
    )
    skipped: list[Skipped] = []
    samples = read_ahead(range(len(dataset)), dataset.__getitem__)
    with PerImageFile(out, scorer.columns) as rows:
        for index, sample in track(samples, "Evaluating", len(dataset)):
            try:
                _measure_one(predictor, sample(), scorer, rows, pictures)
            except DataError as error:
                skipped.append(Skipped(dataset.records[index].name, str(error)))
    if scorer.num_images == 0:
        raise DataError(f"Not one of {len(dataset)} images could be scored. The first:\n{skipped[0].reason}")
    scores = scorer.compute()
    write_scores(out, scores, split=split, skipped=skipped)
    return EvaluateResult(out, split, scores, tuple(skipped), pictures.finish())


def _measure_one(
    predictor: Predictor, sample: Sample, scorer: Scorer, rows: PerImageFile, pictures: WorstAndBest
) -> None:
    prediction = predictor.predict(sample.image, name=sample.name)
    scores = scorer.score(prediction, sample)
    rows.write(scores)
    pictures.offer(scores, sample, prediction)


def _run_of(path: Path) -> RunFolder | None:
    """Return the run that a path is, or that a model folder lies in."""
    for folder in (path, model_folder(path).parent):
        if RunFolder(folder).splits.is_file():
            return RunFolder(folder)
    return None


def _training_records(source: Source, run: RunFolder | None, split: str) -> Sequence[Record]:
    if run is None:
        raise ModelError(
            "Which images the model was validated on stands in its run folder, and this model lies in none. "
            "Name labelled images with --data, or evaluate the run folder."
        )
    splits = read_splits(run, source)
    _refuse_unknown_split(split, splits)
    return splits[split]


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.expanduser().resolve()


def _foreign_name(root: Path, split: str | None) -> str:
    """Return a name for other data that no split of the training has, so that results stay apart."""
    root = root.resolve()
    if split is not None:
        return f"{root.name}-{split}"
    return f"{root.parent.name}-{root.name}" if root.name in TRAINING_SPLITS else root.name


def _foreign_labels(source: Source, predictor: Predictor) -> LabelTable:
    """Return the data's values in the model's order; data that names no class has the model's own."""
    trained, task = predictor.labels, predictor.plan.task
    check_labels(source, task)
    declared = source.declared_labels()
    if declared is not None and task == "instance":
        declared = declared.things()
    return trained if declared is None else match_labels(trained, declared, where=str(source.root))


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
            "A share of the images is kept apart by `splits: {test: 0.1}` in dataset.yaml, before training."
        )
