"""`limner.load`: a model folder, or the run that made it, ready to predict."""

from pathlib import Path
from typing import TYPE_CHECKING

from limner.core.plan import InferencePlan
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor

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
    return load_predictor(model, device=device, precision=precision, settings=settings, network=network)
