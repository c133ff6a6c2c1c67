"""Options of the commands that run a model on images, which are the same for all of them."""

from typing import Annotated

import typer

Window = Annotated[str, typer.Option(help="Size of a sliding window, such as 512x512.")]
Overlap = Annotated[
    float | None, typer.Option(min=0, max=0.95, help="Overlap of neighbouring windows, as a fraction.")
]
Flips = Annotated[bool | None, typer.Option("--flips/--no-flips", help="Average over mirrored images.")]
Scales = Annotated[str, typer.Option(help="Average over these scales, such as 0.75,1,1.25.")]
Resize = Annotated[
    str, typer.Option(help="Resize images first: 800 (shorter side), 800,1333, 384x512, or no.")
]
Range = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--range", metavar="LOW HIGH", help="The images' range of values, mapped to the training's."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, xpu, ...")]
Precision = Annotated[str, typer.Option(help="float32, bfloat16 or float16; default: automatic.")]
