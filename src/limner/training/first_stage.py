"""The first stage of a cascade while the second is trained: its model, and what it predicts for the volumes.

Source: nnU-Net (Isensee et al., Nature Methods 2021), https://doi.org/10.1038/s41592-020-01008-z. There, the
predictions of training volumes come from a cross-validation. Here, they come from the one model that was
trained on these volumes, so they are better than those of new ones; for that reason,
`transforms/add_low_resolution.py` changes them at random.
"""

from dataclasses import replace

from limner.core.errors import ConfigError, describe
from limner.core.execution import Execution
from limner.core.low_resolution_labels import LowResolutionLabels
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.core.sample import Sample
from limner.inference.low_resolution import predict_low_resolution
from limner.inference.predictor import Predictor
from limner.loading.dataset import Dataset
from limner.preparation.prepared_run import PreparedRun
from limner.storage.array_cache import ArrayCache
from limner.storage.file_states import state_of
from limner.weights.bundle import load_model
from limner.weights.model import Model


class CascadeDataset(Dataset):
    """Prepared volumes with what the low-resolution stage predicts for them, which is computed once.

    Predictions are in the cache folder, from where they are mapped; a resumed run finds them there.

    Args:
        prepared: The volumes as the second stage is trained on them.
        stage: The low-resolution stage.
        run: The run of the second stage.
        execution: Progress display.

    Raises:
        DataError: A volume cannot be read.
    """

    def __init__(self, prepared: Dataset, stage: Predictor, run: PreparedRun, execution: Execution) -> None:
        super().__init__(
            prepared.source, prepared.records, prepared.labels, targets=prepared.targets, cache=None
        )
        self._volumes = prepared
        files = ArrayCache("low_resolution", prepared.source.root)
        seen = run.plan.input
        told = f"{stage.weights_hash} {stage.settings} {seen.orientation} {seen.spacing_mm}"
        keys = [state_of(record.files, f"{record.name} {told}") for record in self.records]
        files.keep_only(set(keys))
        self._predicted = []
        pairs = list(zip(self.records, keys, strict=True))
        for record, key in execution.track(pairs, "predicting at low resolution", len(pairs)):
            labels = files.load(key)
            if labels is None:
                picture = self.source.read_image(record)
                where = str(record.image)
                labels = predict_low_resolution(stage, picture.array, picture.geometry, seen, where=where)
                files.save(key, labels)
            self._predicted.append(LowResolutionLabels(labels))

    def __getitem__(self, index: int) -> Sample:
        """Return a volume with its labels, and those of the low-resolution stage.

        Raises:
            DataError: As `Dataset`.
        """
        sample = self._volumes[index]
        return replace(sample, targets=(*sample.targets, self._predicted[index]))


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


def with_first_stage(run: PreparedRun, train: Dataset, execution: Execution) -> Dataset:
    """Return the training volumes with what the low-resolution stage predicts for them, if there is one.

    Raises:
        ConfigError: As `first_stage`.
        DataError: A volume cannot be read.
    """
    model = first_stage(run.plan, run.folder)
    if model is None:
        return train
    return CascadeDataset(train, Predictor(model, device=execution.device), run, execution)
