"""Options of the commands that predict images, which are the same for all of them."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.number_options import parse_resize, parse_scales, parse_window
from limner.cli.shared_options import Device, Precision, Range
from limner.core.errors import ConfigError

if TYPE_CHECKING:
    from limner.core.plan import InferencePlan, Plan

_OPTION_NAMES = {"value_range": "--range"}
"""Fields that are not called after their option."""


@dataclass(frozen=True)
class InferenceOptions:
    """How a model predicts images; what is not given is as in the model's plan."""

    window: Annotated[str, typer.Option(help="Size of a sliding window, such as 512x512.")] = ""
    overlap: Annotated[
        float | None, typer.Option(min=0, max=0.95, help="Overlap of neighbouring windows, as a fraction.")
    ] = None
    flips: Annotated[
        bool | None, typer.Option("--flips/--no-flips", help="Average over mirrored images.")
    ] = None
    scales: Annotated[str, typer.Option(help="Average over these scales, such as 0.75,1,1.25.")] = ""
    resize: Annotated[
        str, typer.Option(help="Resize images first: 800 (shorter side), 800,1333, 384x512, or no.")
    ] = ""
    largest_component: Annotated[
        str,
        typer.Option(
            metavar="CLASSES",
            help="Keep only the largest connected part of these classes, such as liver,spleen; or none.",
        ),
    ] = ""
    value_range: Range = None
    device: Device = "auto"
    precision: Precision = ""

    def refuse_without_model(self) -> None:
        """Refuse every option that was given, where predictions come from files.

        Raises:
            ConfigError: An option differs from its default; the message names it.
        """
        names = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        if names:
            given = ", ".join(_OPTION_NAMES.get(name, "--" + name.replace("_", "-")) for name in names)
            raise ConfigError(
                f"{given}: only for a model, which predicts the images. --predictions are scored as found. "
                f"Omit {given}."
            )

    def settings(self, plan: "Plan") -> "InferencePlan":
        """Return the inference settings of a model's plan with those of the command line.

        Raises:
            ConfigError: An option is not what the model's images need.
        """
        from limner.api.predict import inference_settings

        if self.flips and not plan.augment.flip_axes:
            raise ConfigError(
                "--flips averages over images mirrored along the axes that training mirrored, and the "
                "training of this model mirrored none (augment.flip_axes). Omit --flips."
            )
        return inference_settings(
            plan.inference,
            window=parse_window(self.window, plan.input.spatial_dims),
            overlap=self.overlap,
            flips=self.flips,
            scales=parse_scales(self.scales),
            resize=parse_resize(self.resize, plan.resize_for(plan.inference)),
            largest_component=_names(self.largest_component),
        )


def _names(text: str) -> tuple[str, ...] | None:
    """Return the names in a list such as ``liver,spleen``; none of ``none``, and None of an empty text."""
    if not text:
        return None
    return () if text == "none" else tuple(name.strip() for name in text.split(","))
