"""U-Nets of https://github.com/milesial/Pytorch-UNet, with transposed convolutions or bilinear upsampling."""

from limner.weights.checkpoint_files import Checkpoint
from limner.weights.checkpoint_source import (
    Asked,
    CheckpointSource,
    Inferred,
    NetworkShape,
    Normalization,
    ReadNetwork,
)
from limner.weights.renaming import Naming, rename
from limner.weights.sources.facts.dense_facts import RECIPE, conclude

NAMING = Naming(
    title="milesial/Pytorch-UNet",
    sign=r"^inc\.double_conv\.0\.weight$",
    unused=r"^mask_values$",
    why_unused="values of the masks, which are the classes",
    rules=(
        (r"^inc\.double_conv\.", "encoder.0.double_conv."),
        (r"^down(\d)\.maxpool_conv\.1\.", r"encoder.\1."),
        *((rf"^up{step + 1}\.up\.", f"decoder.{step}.up.") for step in range(4)),
        *((rf"^up{step + 1}\.conv\.", f"decoder.{step}.convs.") for step in range(4)),
        (r"\.double_conv\.0\.", ".0.conv."),
        (r"\.double_conv\.1\.", ".0.norm."),
        (r"\.double_conv\.3\.", ".1.conv."),
        (r"\.double_conv\.4\.", ".1.norm."),
        (r"^outc\.conv\.", "head.classifier.conv."),
    ),
)


def _recognises(checkpoint: Checkpoint) -> bool:
    return "inc.double_conv.0.weight" in checkpoint.tensors and "outc.conv.weight" in checkpoint.tensors


def _read(checkpoint: Checkpoint, asked: Asked) -> ReadNetwork:
    renamed = rename(checkpoint.tensors, NAMING)
    sizes = renamed.sizes
    first = sizes["encoder.0.0.conv.weight"]
    classes = sizes["head.classifier.conv.weight"][0]
    is_bilinear = "decoder.0.up.weight" not in sizes
    options = {
        "widths": tuple(sizes.get(f"encoder.{level}.1.conv.weight", (1,))[0] for level in range(5)),
        "upsampling": "aligned" if is_bilinear else "transposed",
        "conv_bias": "encoder.0.0.conv.bias" in sizes,
        "pads": "maps",
        **asked.options,
    }
    shape = NetworkShape("unet", options, classes, first[1], "U-Net", {"pads": "constant in that code"})
    normalization = Inferred(
        Normalization((0.0,) * first[1], (255.0,) * first[1]), "that code divides by 255 only"
    )
    return ReadNetwork(shape, renamed, conclude(checkpoint, shape, asked, normalization=normalization))


MILESIAL = CheckpointSource(
    NAMING.title, "U-Net", "inc.double_conv.0.weight and outc.conv.weight", _recognises, _read, RECIPE
)
