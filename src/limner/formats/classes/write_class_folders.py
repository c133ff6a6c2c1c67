"""Write one folder per class, below a folder for each split if there are splits: ``train/ants/1.jpg``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from limner.core.labels import LabelTable
from limner.formats.classes.class_folders import ClassFolders
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.writers import Entry, Outgoing, Writer, class_settings, member, one_class
from limner.storage.file_contents import file_content
from limner.storage.whole_files import write_whole


class WriteClassFolders(Writer):
    """Writes images into folders named after their classes."""

    name = ClassFolders.name
    holds = "classes"
    cannot_hold: ClassVar[Mapping[str, str]] = {"unlabelled": "left out", "unreadable": "left out"}

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the image into the folder of its class."""
        folder = labels.names[one_class(image)].replace("/", "_").replace("\\", "_")
        place = root / (image.split or "") / folder
        write_whole(place / f"{image.stem}{image.image.suffix}", file_content(image.image))
        return member(image)

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the settings."""
        write_dataset_file(root, class_settings(self.name))
