"""The fingerprint of a dataset as tables, for `limner plan` and `limner stats`."""

from limner.checks.label_rows import MOST_ABSENT
from limner.cli.console import console, table
from limner.core.wording import channel_words, share, size
from limner.planning.fingerprint import Fingerprint


def show_fingerprint(found: Fingerprint) -> None:
    """Print what the training images are like: sizes, intensities by channel, and the classes."""
    counts = ", ".join(f"{count} {split}" for split, count in found.num_images.items())
    console().print(f"Images: {counts}; {channel_words(found.channels)}, {found.dtype}", style="heading")
    axes = "height x width" if len(found.median) == 2 else "depth x height x width"
    sides = f"median {size(found.median)}, from {size(found.smallest)} to {size(found.largest)}"
    console().print(f"Sizes: {sides} ({axes})")
    numbers = ("mean", "std", "0.5 %", "99.5 %")
    channels = table("channel", *numbers, numbers=numbers)
    for index, row in enumerate(zip(found.mean, found.std, found.low, found.high, strict=True)):
        channels.add_row(str(index), *(f"{value:.4g}" for value in row))
    console().print(channels)
    has_objects = any(c.num_objects is not None for c in found.classes)
    of_objects = ["objects", "pixels in an object"] if has_objects else []
    has_pieces = any(c.num_components is not None for c in found.classes)
    of_pieces = ["pieces in an image", "pixels in a piece"] if has_pieces else []
    columns = ["share", "images", *of_pieces, *of_objects]
    classes = table("class", *columns, numbers=columns)
    absent = [c for c in found.classes if not c.num_images]
    shown = found.classes if len(absent) <= MOST_ABSENT else [c for c in found.classes if c.num_images]
    for c in shown:
        pieces = "" if c.num_components is None else f"{c.num_components:.0f}"
        area = "" if c.component_area is None else f"{c.component_area:,.0f}"
        objects = (
            ["" if n is None else f"{n:,.0f}" for n in (c.num_objects, c.object_area)] if has_objects else []
        )
        measured = [pieces, area] if has_pieces else []
        classes.add_row(c.name, share(c.pixel_share), str(c.num_images), *measured, *objects)
    console().print(classes)
    if len(shown) < len(found.classes):
        console().print(f"and {len(absent)} classes in no image; --json lists all", style="muted")
    if found.ignored_share:
        console().print(f"Ignored: {share(found.ignored_share)} of all pixels")


def show_orientation(found: Fingerprint) -> None:
    """Print what mirroring and turning the images would change."""
    asked = found.orientation
    if not asked.is_known:
        console().print(f"Orientation: {asked.num_images} images are too few to tell.")
        return
    shown = table("change", "asymmetry that images share", "by chance", "is harmless", numbers=("by chance",))
    for name, asymmetry, harmless in (
        ("mirror left and right", asked.left_right, asked.mirrors_left_right),
        ("mirror up and down", asked.up_down, asked.mirrors_up_down),
        ("quarter turns", asked.turn, asked.turns),
    ):
        shown.add_row(name, share(asymmetry.shared), f"{asymmetry.chance:.3f}", "yes" if harmless else "no")
    console().print(shown)
