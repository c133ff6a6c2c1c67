"""Write one folder per class, below a folder for each split if there are splits: ``train/ants/1.jpg``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from limner.core.labels import LabelTable
from limner.formats.classes.class_folders import ClassFolders
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.writers import Outgoing, Writer, class_settings, one_class
from limner.storage.whole_files import write_whole


class WriteClassFolders(Writer):
    """Writes images into folders named after their classes."""

    name = ClassFolders.name
    holds = "classes"
    cannot_hold: ClassVar[Mapping[str, str]] = {"unlabelled": "left out", "unreadable": "left out"}

    def write(self, root: Path, images: Iterable[Outgoing], labels: LabelTable) -> None:
        """Write the images one by one."""
        folders = [name.replace("/", "_").replace("\\", "_") for name in labels.names]
        for image in images:
            place = root / (image.split or "") / folders[one_class(image)]
            write_whole(place / f"{image.stem}{image.image.suffix}", image.image.read_bytes())
        write_dataset_file(root, class_settings(self.name))
