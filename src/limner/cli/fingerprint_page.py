"""The fingerprint of a dataset as tables, for `limner plan` and `limner stats`."""

from collections.abc import Sequence

from rich.table import Table

from limner.checks.label_rows import MOST_ABSENT
from limner.cli.console import console, table
from limner.core.wording import channel_words, element, share, size
from limner.planning.fingerprint import ClassFingerprint, Fingerprint


def show_fingerprint(found: Fingerprint) -> None:
    """Print sizes, intensities per channel, and classes of the training images."""
    counts = ", ".join(f"{count} {split}" for split, count in found.num_images.items())
    console().print(f"Images: {counts}; {channel_words(found.channels)}, {found.dtype}", style="heading")
    axes = "height x width" if len(found.median) == 2 else "depth x height x width"
    sides = f"median {size(found.median)}, from {size(found.smallest)} to {size(found.largest)}"
    console().print(f"Sizes: {sides} ({axes})")
    console().print(_channels(found))
    console().print(_classes(found))
    absent = len(found.classes) - len(_shown(found))
    if absent:
        console().print(f"and {absent} classes in no image; --json lists all", style="muted")
    if found.ignored_share:
        console().print(f"Ignored: {share(found.ignored_share)} of all {element(len(found.median))}s")


def _channels(found: Fingerprint) -> Table:
    numbers = ("mean", "std", "0.5 %", "99.5 %")
    shown = table("channel", *numbers, numbers=numbers)
    for index, row in enumerate(zip(found.mean, found.std, found.low, found.high, strict=True)):
        shown.add_row(str(index), *(f"{value:.4g}" for value in row))
    return shown


def _classes(found: Fingerprint) -> Table:
    """Return a table with a row per class; components and objects get columns if there are any."""
    has_pieces = any(c.num_components is not None for c in found.classes)
    has_objects = any(c.num_objects is not None for c in found.classes)
    of_pieces = ["components per image", "pixels per component"] if has_pieces else []
    of_objects = ["objects", "pixels per object"] if has_objects else []
    columns = ["share", "images", *of_pieces, *of_objects]
    shown = table("class", *columns, numbers=columns)
    for c in _shown(found):
        pieces = [_number(c.num_components, ".0f"), _number(c.component_area)] if has_pieces else []
        objects = [_number(c.num_objects), _number(c.object_area)] if has_objects else []
        shown.add_row(c.name, share(c.pixel_share), str(c.num_images), *pieces, *objects)
    return shown


def _shown(found: Fingerprint) -> Sequence[ClassFingerprint]:
    """Return the classes to show; if many classes are in no image, those are omitted."""
    there = [c for c in found.classes if c.num_images]
    return found.classes if len(found.classes) - len(there) <= MOST_ABSENT else there


def _number(value: float | None, form: str = ",.0f") -> str:
    return "" if value is None else format(value, form)


def show_orientation(found: Fingerprint) -> None:
    """Print whether mirroring and rotating the images is safe."""
    asked = found.orientation
    if not asked.is_known:
        console().print(f"Orientation: too few images to decide ({asked.num_images}).")
        return
    shown = table("transform", "shared asymmetry", "p-value", "safe", numbers=("p-value",))
    for name, asymmetry, harmless in (
        ("mirror left and right", asked.left_right, asked.mirrors_left_right),
        ("mirror up and down", asked.up_down, asked.mirrors_up_down),
        ("quarter turns", asked.turn, asked.turns),
    ):
        shown.add_row(name, share(asymmetry.shared), f"{asymmetry.chance:.3f}", "yes" if harmless else "no")
    console().print(shown)
