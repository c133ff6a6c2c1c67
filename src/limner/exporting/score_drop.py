"""Scores of an exported file beside those of its model, on the same labelled images."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from limner.core.errors import DataError
from limner.core.sample import Record
from limner.core.score_names import SCORES
from limner.formats.source import Source
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset


@dataclass(frozen=True)
class LabelledImages:
    """Images on which a model and its export are scored.

    Attributes:
        source: Their dataset.
        records: The images.
        said: What they are, such as ``12 validation images``.
    """

    source: Source
    records: Sequence[Record]
    said: str


@dataclass(frozen=True)
class ScoreDrop:
    """What a file in lower precision loses.

    Attributes:
        images: What was scored, in words.
        main: Name of the score that decides.
        model: Scores of the model in float32, those that the task shows first.
        export: The same of the file.
    """

    images: str
    main: str
    model: dict[str, float]
    export: dict[str, float]

    @property
    def lost(self) -> float:
        """How much lower the main score of the file is."""
        return self.model[self.main] - self.export[self.main]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def score_drop(model: Predictor, export: Path, images: LabelledImages) -> ScoreDrop:
    """Score a model and its export in the windows of the export.

    Args:
        model: The model on the CPU.
        export: Folder of the export.
        images: The images.

    Raises:
        DataError: None of the images can be scored.
    """
    theirs = load_predictor(export, device="cpu")
    ours = Predictor(model.model, device="cpu", precision="float32", settings=theirs.settings)
    labels = model.labels
    main = model.task.main_score(labels)
    shown = dict.fromkeys((main, *model.task.shown_first(labels.names)))
    both = []
    for predictor in (ours, theirs):
        scores = _scores(predictor, images)
        both.append({name: scores[name] for name in shown if name in scores})
    return ScoreDrop(images.said, main, *both)


def _scores(predictor: Predictor, images: LabelledImages) -> dict[str, float]:
    task, labels = predictor.task, predictor.labels
    scorer = task.scorer(labels)
    dataset = Dataset(images.source, images.records, labels, targets=task.targets, cache=None)
    problem: DataError | None = None
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
            found = predictor.predict(sample.picture, name=sample.name)
            scorer.score(found, sample)
        except DataError as error:
            problem = problem or error
    if scorer.num_images == 0 and problem is not None:
        raise problem
    return {name: float(value) for name, value in scorer.compute().items() if name in SCORES}
