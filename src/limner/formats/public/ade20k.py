"""ADE20K scene parsing (ADEChallengeData2016): 150 classes as values 1 to 150, 0 for everything else."""

import re
from pathlib import Path

from limner.formats.file_tree import FileTree
from limner.formats.pairs.known_layout import Known, KnownLayout, images_below
from limner.formats.public import class_tables

_NAME = re.compile(r"ADE_(train|val|test|frame)_\d+", re.IGNORECASE)
_NAME_LISTS = ("objectinfo150.txt", "objectinfo150.csv")


class Ade20k(KnownLayout):
    """``images/training/ADE_train_00000001.jpg`` with ``annotations/training/ADE_train_00000001.png``."""

    name = "ade20k"
    title = "150 classes: images/ and annotations/ with training/ and validation/, objectInfo150.txt"

    @classmethod
    def known(cls, root: Path, tree: FileTree) -> Known | None:
        """Recognise the layout by objectInfo150, or by names such as ADE_train_00000001."""
        images, masks = images_below(tree, "images"), images_below(tree, "annotations")
        if not (images and masks):
            return None
        listed = next((p for p in tree.others if p.name.casefold() in _NAME_LISTS), None)
        if listed is None and not (_NAME.fullmatch(images[0].stem) and _NAME.fullmatch(masks[0].stem)):
            return None
        by = f"{listed.name} beside images/ and annotations/" if listed else f"names such as {images[0].stem}"
        return Known(
            f"ADE20K scene parsing, by {by}: values 1 to 150 have its names, 0 is ignored",
            class_tables.ade20k(),
            images="**/images/**/{stem}.*",
            masks="**/annotations/**/{stem}.png",
        )
