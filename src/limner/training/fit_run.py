"""Training of a prepared run."""

from limner.core.execution import Execution
from limner.preparation.prepared_run import PreparedRun
from limner.training.first_stage import with_first_stage
from limner.training.fit import FitResult, fit
from limner.training.self_training import with_pseudo_labels


def fit_run(prepared: PreparedRun, execution: Execution, *, resume: bool = False) -> FitResult:
    """Train a prepared run, without scoring it.

    Args:
        prepared: The plan, images and folder of the run.
        execution: Device and observers.
        resume: Whether to continue from its checkpoint.

    Raises:
        DataError: There are no training images.
        TrainingError: As in `fit`.
        ConfigError: As in `fit`.
    """
    plan, train = with_pseudo_labels(prepared, prepared.training_dataset("train"), execution)
    val = prepared.dataset("val") if "val" in prepared.splits else None
    train, val = with_first_stage(prepared, train, val, execution)
    return fit(
        plan,
        train=train,
        val=val,
        run=prepared.folder,
        network=prepared.network,
        resume=resume,
        execution=execution,
    )
