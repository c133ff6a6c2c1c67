"""Training a run that was prepared."""

from limner.core.execution import Execution
from limner.preparation.prepared_run import PreparedRun
from limner.training.fit import FitResult, fit


def fit_run(prepared: PreparedRun, execution: Execution, *, resume: bool = False) -> FitResult:
    """Train a run, without scoring it.

    Args:
        prepared: Its plan, its images, and where everything goes.
        execution: Where it is trained, and who looks on.
        resume: Go on from its checkpoint.

    Raises:
        DataError: There is no image to train on.
        TrainingError: As `fit`.
        ConfigError: As `fit`.
    """
    return fit(
        prepared.plan,
        train=prepared.dataset("train"),
        val=prepared.dataset("val") if "val" in prepared.splits else None,
        run=prepared.folder,
        network=prepared.network,
        resume=resume,
        device=execution.device,
        watchers=execution.watchers,
    )
