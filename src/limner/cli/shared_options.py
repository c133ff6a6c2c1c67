"""Single options that several commands have; groups of them are in the other files of options."""

from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps, xpu, ...")]
Precision = Annotated[str, typer.Option(help="float32, bfloat16 or float16; default: automatic.")]
Range = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--range", metavar="LOW HIGH", help="The images' range of values, mapped to the training's."
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        help="A task, such as instance; default: that of --weights, or the usual one of the labels."
    ),
]
Network = Annotated[
    str | None, typer.Option(help="A name in `limner networks`, such as pspnet or pspnet/resnet18c.")
]
Spatial = Annotated[
    str | None,
    typer.Option(help="Volumes: 2d (slices), 2.5d (slices with their neighbours), 3d or auto (default)."),
]
Accept = Annotated[bool, typer.Option(help="Accept the proposals of `limner check`.")]
Processes = Annotated[
    int | None,
    typer.Option(
        help="Train in this number of processes at the same time, each with a device of its own or a part of "
        "the cores, and with those of the same command on other hosts."
    ),
]
