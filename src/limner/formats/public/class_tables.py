"""The published class tables of public datasets: value, name and colour of each class.

The tables are CSV files in `tables/`. Names and colours are from the datasets' own documentation: Cityscapes
(cityscapesScripts), ADE20K scene parsing (objectInfo150, names shortened to the first word or two, colours of
its color150 map), COCO-Stuff (labels.txt of the authors; the values in the PNG files are one less), and COCO
panoptic (panoptic_coco_categories.json; the values are its category ids).
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from limner.core.labels import IGNORE_INDEX, RGB, LabelClass, LabelTable

_FOLDER = Path(__file__).parent / "tables"

TABLES = ("ade20k", "cityscapes", "coco-panoptic", "coco-stuff")
"""Names of the tables that `published` knows."""


@dataclass(frozen=True)
class Published:
    """One row of a published table; `is_thing` is None where the dataset does not say."""

    value: int
    name: str
    color: RGB
    is_thing: bool | None


@cache
def published(name: str) -> tuple[Published, ...]:
    """Return the rows of one of `TABLES`, in the order of their values."""
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Published(
                int(row["value"]),
                row["name"],
                (int(row["red"]), int(row["green"]), int(row["blue"])),
                bool(int(row["thing"])) if row["thing"] else None,
            )
            for row in csv.DictReader(file)
        )


@cache
def ade20k() -> LabelTable:
    """Return the 150 classes of ADE20K scene parsing: values 1 to 150; 0 is everything else."""
    return _table(published("ade20k"), ignored=(0,))


@cache
def coco_panoptic() -> LabelTable:
    """Return the 80 things and 53 kinds of stuff of COCO panoptic by their category ids."""
    return _table(published("coco-panoptic"), ignored=())


@cache
def coco_stuff() -> LabelTable:
    """Return the 171 classes of COCO-Stuff as its PNG files hold them; 255 is unlabelled."""
    return _table(published("coco-stuff"), ignored=(IGNORE_INDEX,))


@cache
def coco_stuff_train_ids() -> LabelTable:
    """Return the same classes as other tools renumber them: 0 to 170 without gaps."""
    return renumbered(coco_stuff())


@cache
def cityscapes() -> LabelTable:
    """Return the 19 trained classes of Cityscapes by the values of its labelIds files.

    The other ids (ego vehicle, parking, caravan, ...) are ignored, as its benchmark does.
    """
    rows = published("cityscapes")
    trained = [row for row in rows if row.is_thing is not None]
    others = tuple(row.value for row in rows if row.is_thing is None)
    return _table(trained, ignored=(*others, IGNORE_INDEX))


@cache
def cityscapes_train_ids() -> LabelTable:
    """Return the same 19 classes by the values of labelTrainIds files: 0 to 18; 255 is ignored."""
    return renumbered(cityscapes())


@cache
def cityscapes_ids() -> dict[str, int]:
    """Return label name -> id of everything that Cityscapes' polygons name."""
    return {row.name: row.value for row in published("cityscapes")}


def renumbered(table: LabelTable) -> LabelTable:
    """Return the table with the values 0 to K-1 in its order, and its `ignore_index` ignored."""
    classes = tuple(replace(c, values=(i,)) for i, c in enumerate(table.classes))
    return LabelTable(classes, (table.ignore_index,))


def _table(rows: Iterable[Published], ignored: tuple[int, ...]) -> LabelTable:
    return LabelTable(tuple(LabelClass(r.name, (r.value,), r.color, r.is_thing) for r in rows), ignored)
