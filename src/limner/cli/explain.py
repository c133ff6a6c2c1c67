"""`limner explain MODEL IMAGE --class NAME`: class activation maps."""

from pathlib import Path
from typing import Annotated

import typer

from limner.cli.number_options import parse_whole_numbers
from limner.cli.shared_options import Device, Range


def explain(
    model: Annotated[Path, typer.Argument(help="A model folder, or the run folder that contains it.")],
    image: Annotated[Path, typer.Argument(help="An image file.")],
    class_names: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            help="The class to explain; repeated, the classes are also drawn together. Default: the most "
            "probable classes of a whole image.",
        ),
    ] = None,
    layer: Annotated[str, typer.Option(help="A layer listed by --layers; default: the deepest.")] = "",
    layers: Annotated[bool, typer.Option("--layers", help="Only list the layers.")] = False,
    point: Annotated[
        str, typer.Option(metavar="X,Y", help="Explain the score of one pixel; X,Y,Z in a volume.")
    ] = "",
    region: Annotated[
        str, typer.Option(metavar="LEFT,TOP,RIGHT,BOTTOM", help="Explain the scores of a rectangle.")
    ] = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the overlays.")] = Path("explained"),
    value_range: Range = None,
    device: Device = "auto",
) -> None:
    """Show which parts of an image made a model predict a class.

    Draws Grad-CAM, HiResCAM and LayerCAM, and for query networks the attention.
    """
    from limner.api.explain import explain_classes, explain_layers
    from limner.cli.console import console, table

    if layers:
        made = table("layer", "features", "size", numbers=("features",))
        listed = explain_layers(model, image, value_range=value_range, device=device)
        for name, (features, *size) in listed.items():
            made.add_row(name, str(features), " x ".join(map(str, size)))
        console().print(made)
        return
    place = parse_whole_numbers(point, 3 if point.count(",") == 2 else 2, option="--point")
    box = parse_whole_numbers(region, 4, option="--region")
    found = explain_classes(
        model,
        image,
        class_names=class_names or (),
        layer=layer or None,
        point=place,
        region=(box[0], box[1], box[2], box[3]) if box else None,
        out=out,
        value_range=value_range,
        device=device,
    )
    for each in found:
        console().print(f"{each.class_name}, layer {each.where}: {', '.join(map(str, each.pictures))}")
