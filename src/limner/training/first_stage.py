"""The first stage of a cascade while the second is trained: its model, and what it predicts for the volumes.

Source: nnU-Net (Isensee et al., Nature Methods 2021), https://doi.org/10.1038/s41592-020-01008-z. There, the
predictions of training volumes come from a cross-validation. Here, they come from the one model that was
trained on these volumes, so they are better than those of new ones; for that reason,
`transforms/add_low_resolution.py` changes them at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from limner.core.errors import ConfigError, describe
from limner.core.execution import Execution
from limner.core.labels import LabelArray
from limner.core.low_resolution_labels import LowResolutionLabels
from limner.core.plan import InputPlan, Plan
from limner.core.run_folder import RunFolder
from limner.core.sample import Record, Sample
from limner.inference.low_resolution import as_seen
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.preparation.prepared_run import PreparedRun
from limner.storage.array_cache import ArrayCache
from limner.storage.file_states import state_of
from limner.weights.bundle import load_model
from limner.weights.model import Model


class CascadeDataset(Dataset):
    """Volumes with what the low-resolution stage predicts for them.

    Args:
        dataset: The volumes.
        predicted: (*S) trained labels for each of them, on its grid.
    """

    def __init__(self, dataset: Dataset, predicted: Sequence[LabelArray]) -> None:
        super().__init__(dataset.source, dataset.records, dataset.labels, targets=dataset.targets, cache=None)
        self._dataset = dataset
        self._predicted = tuple(map(LowResolutionLabels, predicted))

    def __getitem__(self, index: int) -> Sample:
        """Return a volume with its labels, and those of the low-resolution stage.

        Raises:
            DataError: As `Dataset`.
        """
        sample = self._dataset[index]
        return replace(sample, targets=(*sample.targets, self._predicted[index]))


@dataclass(frozen=True)
class _StoredPredictions:
    """Predictions of the low-resolution stage, each of which is computed once.

    They are in the cache folder, from where they are mapped; a resumed run finds them there.

    Attributes:
        stage: The low-resolution stage.
        run: The run of the second stage.
        files: The cache.
    """

    stage: Predictor
    run: PreparedRun
    files: ArrayCache

    def key(self, record: Record, seen: InputPlan | None) -> str:
        """Return the key of a prediction in the cache; arguments are those of `labels`."""
        source, stage = self.run.source, self.stage
        grid = "" if seen is None else f"{seen.orientation} {seen.spacing_mm}"
        told = f"{record.name} {source.reading_state(record)} {stage.weights_hash} {stage.settings} {grid}"
        return state_of(record.files, told, here=True)

    def labels(self, record: Record, seen: InputPlan | None) -> LabelArray:
        """Return the prediction for a volume, (*S) trained labels.

        Args:
            record: The volume.
            seen: The input of the second stage, to whose grid it is moved; None keeps that of the file.

        Raises:
            DataError: The volume cannot be read.
        """
        key = self.key(record, seen)
        stored: LabelArray | None = self.files.load(key)
        if stored is not None:
            return stored
        picture, where = self.run.source.read_image(record), str(record.image)
        labels: LabelArray = self.stage.predict(picture, name=where).semantic
        if seen is not None:
            labels = as_seen(labels, picture.geometry, seen, where=where)
        self.files.save(key, labels)
        return labels


def first_stage(plan: Plan, run: RunFolder) -> Model | None:
    """Return the trained low-resolution stage of a run, or None if its plan has none.

    Raises:
        ConfigError: The plan has one, and the run does not.
    """
    if plan.input.cascade_mm is None:
        return None
    stage = run.low_resolution
    if not stage.model.is_dir():
        raise ConfigError(
            describe(
                "The low-resolution stage of this run is not trained",
                where=run.root,
                found=f"no {stage.model}",
                expected="a run of `limner train`, which trains it first",
                fix="Start it with `limner train`; with --folds and tune, omit input.cascade_mm.",
            )
        )
    return load_model(stage.model)


def with_first_stage(
    run: PreparedRun, train: Dataset, val: Dataset | None, execution: Execution
) -> tuple[Dataset, Dataset | None]:
    """Return the volumes of a run with what the low-resolution stage predicts for them, if there is one.

    Args:
        run: The run of the second stage.
        train: The training volumes, as the second stage sees them.
        val: The validation volumes, as they are in their files; None if there are none.
        execution: Device and progress display.

    Raises:
        ConfigError: As `first_stage`.
        DataError: A volume cannot be read.
    """
    model = first_stage(run.plan, run.folder)
    if model is None:
        return train, val
    stage = Predictor(model, device=execution.device)
    stage.speed_up()
    stored = _StoredPredictions(stage, run, ArrayCache("low_resolution", run.source.root))
    wanted: list[tuple[Record, InputPlan | None]] = [(record, run.plan.input) for record in train.records]
    wanted += [(record, None) for record in ([] if val is None else val.records)]
    stored.files.keep_only({stored.key(*each) for each in wanted})
    what = "predicting at low resolution"
    predicted = [stored.labels(*each) for each in execution.track(wanted, what, len(wanted))]
    of_val = predicted[len(train.records) :]
    train = CascadeDataset(train, predicted[: len(train.records)])
    return train, None if val is None else CascadeDataset(val, of_val)
