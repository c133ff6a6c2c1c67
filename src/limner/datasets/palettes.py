"""Palettes: colours for drawing classes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from limner.core.errors import ConfigError, DataError, describe
from limner.core.labels import IGNORE_INDEX, RGB, LabelTable, distinct_color, voc_color
from limner.formats.pairs.color_tables import read_table
from limner.formats.public import class_tables
from limner.storage.user_paths import user_path

PALETTES: dict[str, Callable[[LabelTable], list[RGB]]] = {
    "own": lambda table: [c.color for c in table.classes],
    "distinct": lambda table: [distinct_color(i) for i in range(table.num_classes)],
    "voc": lambda table: [voc_color(i) for i in range(table.num_classes)],
    "cityscapes": lambda table: _of(table, class_tables.cityscapes()),
    "ade20k": lambda table: _of(table, class_tables.ade20k()),
}
"""Palette -> colour of each class in trained order; ``own`` uses those of dataset.yaml or the format."""


def repainted(table: LabelTable, palette: str) -> LabelTable:
    """Return the table with the colours of a palette.

    Args:
        table: The classes.
        palette: A name in `PALETTES`, or a file with one class and its colour per line.

    Raises:
        ConfigError: The palette or file does not exist, or contains none of the classes.
    """
    known = PALETTES.get(palette)
    colors = known(table) if known else _from_file(table, user_path(palette))
    return replace(
        table, classes=tuple(replace(c, color=color) for c, color in zip(table.classes, colors, strict=True))
    )


def _of(table: LabelTable, published: LabelTable) -> list[RGB]:
    """Give a class of the same name its colour, and any other the next one in order.

    Raises:
        ConfigError: There are more than 255 classes: too many would share a colour.
    """
    if table.num_classes > IGNORE_INDEX:
        raise ConfigError(
            f"This palette has {published.num_classes} colours, too few for {table.num_classes} classes. "
            "Use the palette `distinct`, `voc` or `own`."
        )
    by_name = {c.name.casefold(): c.color for c in published.classes}
    return [
        by_name.get(c.name.casefold(), published.classes[i % published.num_classes].color)
        for i, c in enumerate(table.classes)
    ]


def _from_file(table: LabelTable, path: Path) -> list[RGB]:
    if not path.is_file():
        raise ConfigError(f"There is no palette or file named {str(path)!r}. Known: {', '.join(PALETTES)}.")
    try:
        rows = read_table(path)
    except DataError as error:
        raise ConfigError(str(error)) from None
    by_name = {row.name.casefold(): row.color for row in rows if row.color}
    if not by_name.keys() & {name.casefold() for name in table.names}:
        raise ConfigError(
            describe(
                "The palette contains none of the classes",
                where=path,
                found=", ".join(list(by_name)[:5]) or "no colours",
                expected=f"lines such as `{table.names[-1]},255,128,0`",
            )
        )
    return [by_name.get(c.name.casefold()) or c.color for c in table.classes]
