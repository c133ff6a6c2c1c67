"""Write ``images/`` and lists of ``name number`` for each split, and the classes in classes.txt."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from limner.core.labels import LabelTable
from limner.formats.classes.class_lists import ClassLists
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.writers import Outgoing, Writer, class_settings, one_class
from limner.storage.whole_files import write_whole


class WriteClassList(Writer):
    """Writes lists with class numbers from 0."""

    name = ClassLists.name
    holds = "classes"
    cannot_hold: ClassVar[Mapping[str, str]] = {"unlabelled": "left out", "unreadable": "left out"}

    def write(self, root: Path, images: Iterable[Outgoing], labels: LabelTable) -> None:
        """Write the images one by one, then the lists and the names."""
        lines: dict[str, list[str]] = defaultdict(list)
        for image in images:
            file = f"images/{image.stem}{image.image.suffix}"
            write_whole(root / file, image.image.read_bytes())
            lines[image.split or "all"].append(f"{file} {one_class(image)}\n")
        for split, rows in lines.items():
            write_whole(root / f"{split}.txt", "".join(rows))
        write_whole(root / "classes.txt", "".join(f"{name}\n" for name in labels.names))
        write_dataset_file(root, class_settings(self.name))
