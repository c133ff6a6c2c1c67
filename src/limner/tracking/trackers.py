"""External trackers of a run: TensorBoard, and optionally W&B and MLflow."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from limner.core.errors import MissingPartError, UnknownNameError
from limner.core.run_folder import RunFolder
from limner.core.watchers import Moment, Watcher
from limner.storage.disk_problems import write_errors_for


class TensorBoardTracker(Watcher):
    """Writes event files under the run's ``tb``; steps after the checkpoint are purged on resume."""

    def __init__(self, run: RunFolder, run_id: str) -> None:
        self._folder = run.tensorboard

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Open the event file and log the settings as text."""
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        purge = {"purge_step": moment.step + 1} if moment.step else {}
        with write_errors_for(self._folder):
            self._writer: Any = SummaryWriter(str(self._folder), **purge)
            self._writer.add_text("plan", "\n".join(f"    {key}: {value}" for key, value in settings.items()))

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Write one scalar per value."""
        with write_errors_for(self._folder):
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write pending events."""
        with write_errors_for(self._folder):
            self._writer.flush()

    def close(self) -> None:
        """Close the event file, if it was opened."""
        if hasattr(self, "_writer"):
            with write_errors_for(self._folder):
                self._writer.close()


class WandbTracker(Watcher):
    """Logs to Weights & Biases; a resumed run keeps its id."""

    def __init__(self, run: RunFolder, run_id: str) -> None:
        self._run_folder = run
        self._id = run_id

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Open the run."""
        import wandb

        self._run = wandb.init(
            project="limner",
            name=self._run_folder.root.name,
            id=self._id,
            dir=str(self._run_folder.root),
            config=dict(settings),
            resume="allow",
        )

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Log the values of a step."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """End the run, if it was opened."""
        if hasattr(self, "_run"):
            self._run.finish()


class MlflowTracker(Watcher):
    """Logs to MLflow at MLFLOW_TRACKING_URI."""

    def __init__(self, run: RunFolder, run_id: str) -> None:
        self._name = run.root.name
        self._id = run_id

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Open the run, or the resumed one, found by its tag."""
        import mlflow

        experiment = mlflow.set_experiment("limner")
        self._client = mlflow.MlflowClient()
        found = self._client.search_runs([experiment.experiment_id], f"tags.limner_run = '{self._id}'")
        if found:
            self._run_id = found[0].info.run_id
            return
        tags = {"limner_run": self._id}
        created = self._client.create_run(experiment.experiment_id, run_name=self._name, tags=tags)
        self._run_id = created.info.run_id
        for key, value in settings.items():
            self._client.log_param(self._run_id, key, str(value)[:500])

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Log the values of a step."""
        for name, value in values.items():
            self._client.log_metric(self._run_id, _mlflow_name(name), value, step=step)

    def close(self) -> None:
        """End the run, if it was opened."""
        if hasattr(self, "_run_id"):
            self._client.set_terminated(self._run_id)


TRACKERS: dict[str, Callable[[RunFolder, str], Watcher]] = {
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
    "mlflow": MlflowTracker,
}


def build_tracker(name: str, run: RunFolder, *, run_id: str) -> Watcher:
    """Build a tracker by name.

    Args:
        name: A row of `TRACKERS`.
        run: The run folder.
        run_id: Id of the run in the tracker; the same after a resume.

    Raises:
        UnknownNameError: The tracker does not exist.
        MissingPartError: Its library is not installed.
    """
    if name not in TRACKERS:
        raise UnknownNameError("tracker", name, TRACKERS)
    if find_spec(name) is None:
        raise MissingPartError(name, f"The tracker {name!r}", f"pip install {name}")
    return TRACKERS[name](run, run_id)


def _mlflow_name(name: str) -> str:
    """Replace characters that MLflow does not allow in metric names (only letters, digits, ``_-. :/``)."""
    return "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in name)
