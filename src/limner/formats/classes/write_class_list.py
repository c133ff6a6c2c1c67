"""Write ``images/`` and lists of ``name number`` for each split, and the classes in classes.txt."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from limner.core.labels import LabelTable
from limner.formats.classes.class_lists import ClassLists
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.writers import Entry, Outgoing, Writer, class_settings, one_class
from limner.storage.file_contents import file_content
from limner.storage.whole_files import write_whole


class WriteClassList(Writer):
    """Writes lists with class numbers from 0."""

    name = ClassLists.name
    holds = "classes"
    cannot_hold: ClassVar[Mapping[str, str]] = {"unlabelled": "left out", "unreadable": "left out"}

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the image; its class is in a list."""
        file = f"images/{image.stem}{image.image.suffix}"
        write_whole(root / file, file_content(image.image))
        return {"list": image.split or "all", "row": f"{file} {one_class(image)}\n"}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the lists and the names."""
        rows: dict[str, list[str]] = defaultdict(list)
        for entry in entries:
            rows[entry["list"]].append(entry["row"])
        for name, lines in rows.items():
            write_whole(root / f"{name}.txt", "".join(lines))
        write_whole(root / "classes.txt", "".join(f"{name}\n" for name in labels.names))
        write_dataset_file(root, class_settings(self.name))
