"""`limner.load`: a model folder, or the run that made it, ready to predict."""

from pathlib import Path
from typing import TYPE_CHECKING

from limner.core.errors import ModelError, describe
from limner.core.plan import InferencePlan
from limner.core.run_folder import RunFolder
from limner.devices.convolution_layout import choose_memory_format
from limner.inference.predictor import Predictor
from limner.weights.bundle import load_model
from limner.weights.card import CARD

if TYPE_CHECKING:
    from torch import nn


def load(
    model: Path | str,
    *,
    device: str = "auto",
    precision: str | None = None,
    settings: InferencePlan | None = None,
    network: "nn.Module | None" = None,
) -> Predictor:
    """Load a trained model.

    Args:
        model: A model folder, or a run folder that holds one.
        device: ``auto`` is the accelerator where there is one, else the processor.
        precision: ``float32``, ``bfloat16`` or ``float16``; None takes that of the training
            where the device is fast in it, else float32.
        settings: Window, overlap, flips and scales; None takes those of the model's plan.
        network: Needed only for a model whose network is your own: it, with any weights.

    Returns:
        A predictor; its ``predict(image)`` takes a file or an array.

    Raises:
        ModelError: It is no model folder, or it was changed, or a newer limner wrote it.
    """
    loaded = load_model(model_folder(model), network)
    predictor = Predictor(loaded, device=device, precision=precision, settings=settings)
    layout = choose_memory_format(predictor.device, spatial_dims=loaded.plan.input.spatial_dims)
    predictor.model.to(memory_format=layout)
    return predictor


def model_folder(path: Path | str) -> Path:
    """Return the model folder that a path means: itself, or the one of a run.

    Raises:
        ModelError: It is a run that has no model yet.
    """
    path = Path(path).expanduser()
    run = RunFolder(path)
    inside = run.model
    if run.splits.is_file() and not inside.exists():
        raise ModelError(
            describe(
                "This run has no model yet: its training was stopped, or still goes on",
                where=path,
                expected=f"{inside}, which is written when training ends",
                fix=f"Let it end: limner train --resume {path}",
            )
        )
    return inside if not (path / CARD).is_file() and (inside / CARD).is_file() else path
