"""Training that goes on from weights: filling the network, and keeping note of where they are from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limner.core.run_folder import RunFolder
from limner.storage.json_files import write_json
from limner.training.disk_refusals import stopping_training
from limner.weights.model import Model
from limner.weights.starting import read_start
from limner.weights.transfer import transfer


def load_initial_weights(
    path: Path, model: Model, run: RunFolder | None, *, say: Callable[[str], None]
) -> None:
    """Fill a network with weights, tell what was loaded, skipped and new, and write it down in the run.

    Args:
        path: A model folder, a run, or another project's checkpoint.
        model: With random weights.
        run: Where `started_from.json` goes; None where another process writes it.
        say: Takes the report.

    Raises:
        ModelError: The weights cannot be read, or none of them fits.
    """
    start = read_start(path, task=model.plan.task)
    done = transfer(start.model, model)
    report = "\n".join(done.lines())
    licence = start.licence or "none stated"
    say(f"The network starts from {path} (licence: {licence}):\n{report}")
    if run is None:
        return
    note = {"weights": str(path), "licence": start.licence, "carried_over": list(done.carried)}
    counts = {name: len(getattr(done, name)) for name in ("loaded", "by_class", "new", "skipped")}
    with stopping_training(run):
        write_json(run.started_from, note | {"tensors": counts}, durable=True)


def read_initial_weights(run: RunFolder) -> dict[str, Any]:
    """Return what `load_initial_weights` wrote down; empty where the run started from nothing."""
    if not run.started_from.is_file():
        return {}
    note = json.loads(run.started_from.read_text(encoding="utf-8"))
    licence = {"licence": note.pop("licence", None)}
    return licence | {"started_from": note}
