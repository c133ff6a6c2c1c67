"""`limner.load()`: a trained model, ready to predict."""

from pathlib import Path
from typing import TYPE_CHECKING

from limner.core.plan import InferencePlan
from limner.inference.load_predictor import load_predictor
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
) -> Predictor:
    """Load a trained model.

    Args:
        model: A model folder, or a run folder that contains one.
        device: ``auto`` is the accelerator if there is one, else the CPU.
        precision: ``float32``, ``bfloat16`` or ``float16``; defaults to that of the training if it is fast on
            the device, else float32.
        settings: Window, overlap, flips and scales; defaults to those of the model's plan.
        value_range: (low, high) of the images' values, which are mapped to the training's range. By default,
            images of another pixel type or range than the training's are refused.
        network: The network, with any weights; only needed for custom networks.

    Returns:
        A predictor; its ``predict(image)`` takes a file or an array.

    Raises:
        ModelError: It is not a model folder, its files were changed, or a newer limner wrote it.
    """
    return load_predictor(
        model,
        device=device,
        precision=precision,
        settings=settings,
        value_range=value_range,
        network=network,
    )
