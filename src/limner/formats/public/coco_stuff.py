"""COCO-Stuff: one grey PNG an image, 171 classes of things and stuff, 255 for unlabelled pixels."""

import re
from pathlib import Path, PurePosixPath

from limner.formats.file_tree import FileTree
from limner.formats.pairs.known_layout import Known, KnownLayout
from limner.formats.public import class_tables

_SPLIT_FOLDER = re.compile(r"(train|val|test)2017", re.IGNORECASE)
_NAME = re.compile(r"\d{12}(_labelTrainIds)?")
_LABEL_FOLDERS = frozenset({"stuffthingmaps", "annotations", "labels", "pixelmaps"})
_TRAIN_IDS = "_labelTrainIds"


class CocoStuff(KnownLayout):
    """``images/train2017/000000000009.jpg`` with ``stuffthingmaps/train2017/000000000009.png``."""

    name = "coco-stuff"
    title = "train2017/ and val2017/ with JPEG images, and with PNG maps in stuffthingmaps/"

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise the layout by PNG maps with COCO's 12-digit names in a folder for labels."""
        splits = [folder for folder in tree.images_in if _SPLIT_FOLDER.fullmatch(folder.name)]
        inside = [path for folder in splits for path in tree.images_in[folder]]
        maps = [path for path in inside if _is_map(path)]
        if not maps or not any(path.suffix == ".jpg" for path in inside):
            return None
        renumbered = any(path.stem.endswith(_TRAIN_IDS) for path in maps)
        values = "0 to 170 without gaps" if renumbered else "0 to 181 (its ids less one)"
        folder = maps[0].parent.parent
        return Known(
            f"COCO-Stuff, by {maps[0].name} in {folder}/: values {values} have its names, 255 is ignored",
            class_tables.coco_stuff_train_ids() if renumbered else class_tables.coco_stuff(),
            images="**/*2017/{stem}.jpg",
            masks=f"{folder}/*2017/{{stem}}{_TRAIN_IDS if renumbered else ''}.png",
        )


def _is_map(path: PurePosixPath) -> bool:
    """Tell whether an image in a folder of a split is a map of classes."""
    return (
        path.suffix == ".png"
        and len(path.parts) >= 3
        and path.parts[-3].casefold() in _LABEL_FOLDERS
        and _NAME.fullmatch(path.stem) is not None
    )
