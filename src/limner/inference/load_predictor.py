"""Loading a trained model for prediction."""

from pathlib import Path
from typing import TYPE_CHECKING

from limner.core.plan import InferencePlan
from limner.devices.convolution_layout import choose_memory_format
from limner.inference.predictor import Predictor
from limner.transforms.fit_values import ValueRange
from limner.weights.bundle import load_model
from limner.weights.card import model_folder

if TYPE_CHECKING:
    from torch import nn


def load_predictor(
    model: Path | str,
    *,
    device: str = "auto",
    precision: str | None = None,
    settings: InferencePlan | None = None,
    value_range: ValueRange | None = None,
    network: "nn.Module | None" = None,
) -> Predictor:
    """Load a trained model onto the device; for the arguments, see `limner.load`.

    Raises:
        ModelError: It is not a model folder, was modified, or was written by a newer limner.
    """
    loaded = load_model(model_folder(model), network)
    predictor = Predictor(
        loaded, device=device, precision=precision, settings=settings, value_range=value_range
    )
    layout = choose_memory_format(predictor.device, spatial_dims=loaded.plan.input.spatial_dims)
    predictor.model.to(memory_format=layout)
    if network is None:  # a module of the user's may not be what its layers seem to be
        predictor.speed_up()
    return predictor
