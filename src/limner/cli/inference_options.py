"""Options of the commands that run a model on images, which are the same for all of them."""

from typing import TYPE_CHECKING, Annotated

import typer

from limner.cli.number_options import parse_resize, parse_scales, parse_window

if TYPE_CHECKING:
    from limner.core.plan import InferencePlan, Plan

Window = Annotated[str, typer.Option(help="Size of a sliding window, such as 512x512.")]
Overlap = Annotated[
    float | None, typer.Option(min=0, max=0.95, help="Overlap of neighbouring windows, as a fraction.")
]
Flips = Annotated[bool | None, typer.Option("--flips/--no-flips", help="Average over mirrored images.")]
Scales = Annotated[str, typer.Option(help="Average over these scales, such as 0.75,1,1.25.")]
Resize = Annotated[
    str, typer.Option(help="Resize images first: 800 (shorter side), 800,1333, 384x512, or no.")
]
LargestComponent = Annotated[
    str,
    typer.Option(
        metavar="CLASSES",
        help="Keep only the largest connected part of these classes, such as liver,spleen; or none.",
    ),
]
Range = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--range", metavar="LOW HIGH", help="The images' range of values, mapped to the training's."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, xpu, ...")]
Precision = Annotated[str, typer.Option(help="float32, bfloat16 or float16; default: automatic.")]


def inference_options(
    plan: "Plan",
    *,
    window: str,
    overlap: float | None,
    flips: bool | None,
    scales: str,
    resize: str,
    largest_component: str = "",
) -> "InferencePlan":
    """Return the inference settings of a model's plan with those of the command line."""
    from limner.api.predict import inference_settings

    return inference_settings(
        plan.inference,
        window=parse_window(window, plan.input.spatial_dims),
        overlap=overlap,
        flips=flips,
        scales=parse_scales(scales),
        resize=parse_resize(resize, plan.resize_for(plan.inference)),
        largest_component=_names(largest_component),
    )


def _names(text: str) -> tuple[str, ...] | None:
    """Return the names in a list such as ``liver,spleen``; none of ``none``, and None of an empty text."""
    if not text:
        return None
    return () if text == "none" else tuple(name.strip() for name in text.split(","))
