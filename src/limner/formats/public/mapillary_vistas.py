"""Mapillary Vistas, versions 1.2 and 2.0: palette PNG whose index is the position in config.json."""

from pathlib import Path, PurePosixPath

from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable
from limner.formats.file_tree import FileTree
from limner.formats.pairs.color_tables import rgb_in
from limner.formats.pairs.known_layout import Known, KnownLayout
from limner.storage.json_files import read_json_object, unreadable

WHAT = "The configuration of Mapillary Vistas"
EXPECTED = '{"labels": [{"name": ..., "color": [r, g, b], "instances": ..., "evaluate": ...}]}'


class MapillaryVistas(KnownLayout):
    """``training/images/KEY.jpg`` with ``training/v2.0/labels/KEY.png`` and ``config_v2.0.json``."""

    name = "mapillary-vistas"
    title = "version 2.0: training/images/, training/v2.0/labels/, config_v2.0.json"

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise the layout by the configuration beside folders of images and of labels of version 2.0."""
        return _known(root, tree, "2.0", "v2.0/labels")


class MapillaryVistas12(KnownLayout):
    """``training/images/KEY.jpg`` with ``training/labels/KEY.png`` and ``config.json``."""

    name = "mapillary-vistas-1.2"
    title = "version 1.2: training/images/, training/labels/ (or training/v1.2/labels/), config.json"

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Look into the folders of the 2.0 release, which holds both versions, then into those of 1.2."""
        return _known(root, tree, "1.2", "v1.2/labels") or _known(root, tree, "1.2", "labels")


def _known(root: Path, tree: FileTree, version: str, folder: str) -> Known | None:
    names = (f"config_v{version}.json", "config.json")
    config = next((path for name in names for path in tree.others if path.name == name), None)
    if config is None or not any(f"/{folder}/" in f"/{path}" for path in tree.images):
        return None
    table = read_config(root, config)
    return Known(
        f"Mapillary Vistas {version}, by {config}: {table.num_classes} classes, and "
        f"{len(table.ignored_values)} that are not scored and so ignored",
        table,
        images="**/images/{stem}.jpg",
        masks=f"**/{folder}/{{stem}}.png",
    )


def read_config(root: Path, config: PurePosixPath) -> LabelTable:
    """Return the classes of a configuration: position -> name and colour; classes not scored are ignored.

    Raises:
        DataError: It is not Mapillary's.
    """
    whole = read_json_object(root / config, what=WHAT, expected=EXPECTED, lists="labels")
    classes, ignored = [], []
    for value, row in enumerate(whole.children("labels")):
        name, color = row.text("name"), rgb_in(row.value("color"))
        if not name or color is None or "instances" not in row:
            raise unreadable(root / config, what=WHAT, found=f"label {value} is {row}", expected=EXPECTED)
        if row.is_set("evaluate") or "evaluate" not in row:
            classes.append(LabelClass(name, (value,), color, row.is_set("instances")))
        else:
            ignored.append(value)
    try:
        return LabelTable(tuple(classes), tuple(ignored))
    except ConfigError as error:
        raise unreadable(root / config, what=WHAT, found=str(error), expected=EXPECTED) from None
