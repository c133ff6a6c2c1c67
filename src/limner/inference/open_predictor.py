"""Opening whatever predicts images: a model, an export, or several whose probabilities are averaged.

PyTorch is only imported if what is opened needs it.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Union

from limner.core.errors import ConfigError, MissingPartError, describe
from limner.core.plan import InferencePlan, Plan
from limner.inference.exported_predictor import DEVICES, ExportedPredictor, needs_torch
from limner.storage.user_paths import user_path
from limner.transforms.fit_values import ValueRange
from limner.weights.exported import export_folder, read_export_card, refuse_finished
from limner.weights.model_settings import read_model_settings

if TYPE_CHECKING:
    from limner.inference.ensemble import Ensemble
    from limner.inference.predictor import Predictor

AnyPredictor = Union["Predictor", "Ensemble", ExportedPredictor]
"""What predicts images: a model, several whose predictions are averaged, or an export without PyTorch."""

Settings = InferencePlan | Callable[[Plan], InferencePlan]
"""Window, overlap, flips and scales: the same for all models, or made from the plan of each."""


def open_predictor(
    models: Path | str | AnyPredictor | Sequence[Path | str],
    *,
    device: str = "auto",
    precision: str | None = None,
    settings: Settings | None = None,
    value_range: ValueRange | None = None,
) -> AnyPredictor:
    """Load a model, or several to average; a predictor is returned as it is.

    For the arguments and errors, see `open_members`.

    Raises:
        ConfigError: Their predictions cannot be averaged.
        MissingPartError: PyTorch is needed and not installed.
    """
    if not isinstance(models, str | Path | Sequence):
        return models
    paths = [models] if isinstance(models, str | Path) else list(models)
    only = export_folder(user_path(paths[0])) if len(paths) == 1 else None
    why = "a model folder: exports to ONNX or OpenVINO do not need it"
    if only is not None:
        paths, card = [only], read_export_card(only)
        refuse_finished(only, card)
        plan, _ = read_model_settings(only)
        reason = needs_torch(card, plan)
        if reason is None:
            _refuse_device(device)
            chosen = settings(plan) if callable(settings) else settings
            return ExportedPredictor(only, card, settings=chosen, value_range=value_range)
        why = reason
    if find_spec("torch") is None:
        raise MissingPartError("torch", f"Predicting with {why}", "pip install torch")
    from limner.inference.ensemble import joined_predictor, open_members

    members = open_members(
        paths, device=device, precision=precision, settings=settings, value_range=value_range
    )
    return joined_predictor(members)


def _refuse_device(device: str) -> None:
    if device not in DEVICES:
        raise ConfigError(
            describe(
                "Exported files run on the CPU",
                found=f"--device {device}",
                expected=" or ".join(DEVICES),
                fix="Omit --device, or predict with the model itself.",
            )
        )
