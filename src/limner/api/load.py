"""`limner.load()`: a trained model, ready to predict."""

from pathlib import Path
from typing import TYPE_CHECKING

from limner.core.plan import InferencePlan
from limner.inference.ensemble import Ensemble, joined_predictor, open_members
from limner.inference.predictor import Predictor
from limner.transforms.fit_values import ValueRange

if TYPE_CHECKING:
    from torch import nn


def load(
    model: Path | str,
    *,
    device: str = "auto",
    precision: str | None = None,
    settings: InferencePlan | None = None,
    value_range: ValueRange | None = None,
    network: "nn.Module | None" = None,
) -> Predictor | Ensemble:
    """Load a trained model, or those of a cross-validation.

    Args:
        model: A model folder, a run folder that contains one, or a cross-validation.
        device: ``auto`` is the accelerator if there is one, else the CPU.
        precision: ``float32``, ``bfloat16`` or ``float16``; defaults to that of the training if it is fast on
            the device, else float32.
        settings: Window, overlap, flips and scales; defaults to those of the model's plan.
        value_range: (low, high) of the images' values, which are mapped to the training's range. By default,
            images of another pixel type or range than the training's are refused.
        network: The network, with any weights; only needed for custom networks.

    Returns:
        A predictor; its ``predict(image)`` takes a file or an array. That of a cross-validation averages the
        predictions of its models, which are its `members`.

    Raises:
        ModelError: It is not a model folder, its files were changed, a newer limner wrote it, or a
            cross-validation is not finished.
        ConfigError: Predictions of the task cannot be averaged.
    """
    members = open_members(
        model,
        device=device,
        precision=precision,
        settings=settings,
        value_range=value_range,
        network=network,
    )
    return joined_predictor(members)
