"""Initial weights of a run: loading them, and recording their origin."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limner.core.run_folder import RunFolder
from limner.storage.json_files import write_json
from limner.training.disk_refusals import stopping_training
from limner.weights.model import Model
from limner.weights.starting import start_from


def load_initial_weights(
    path: Path, model: Model, run: RunFolder | None, *, say: Callable[[str], None]
) -> None:
    """Load weights into a network, report what was loaded, skipped and new, and record it in the run.

    Args:
        path: A model folder, a run, or another project's checkpoint.
        model: With random weights.
        run: Folder for `started_from.json`; None if another process writes it.
        say: Called with the report.

    Raises:
        ModelError: The weights cannot be read, or none of them match.
    """
    done, licence = start_from(path, model)
    report = "\n".join(done.lines())
    say(f"The network starts from {path} (licence: {licence or 'none stated'}):\n{report}")
    if run is None:
        return
    note = {"weights": str(path), "licence": licence, "carried_over": list(done.carried)}
    counts = {name: len(getattr(done, name)) for name in ("loaded", "by_class", "new", "skipped")}
    with stopping_training(run):
        write_json(run.started_from, note | {"tensors": counts}, durable=True)


def read_initial_weights(run: RunFolder) -> dict[str, Any]:
    """Return what `load_initial_weights` recorded; empty if the run started from scratch."""
    if not run.started_from.is_file():
        return {}
    try:
        note = dict(json.loads(run.started_from.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        return {"started_from": f"unknown, since {run.started_from.name} is damaged: {error}"}
    licence = {"licence": note.pop("licence", None)}
    return licence | {"started_from": note}
