"""Write ``images/`` and a CSV for each split with a column for each class."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from limner.core.labels import LabelTable
from limner.formats.classes.tag_lists import TagLists
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.writers import Entry, Outgoing, Writer, class_settings
from limner.storage.file_contents import file_content
from limner.storage.table_cells import csv_text
from limner.storage.whole_files import write_whole


class WriteTagList(Writer):
    """Writes tables with 1 where an image has a class, and 0 elsewhere."""

    name = TagLists.name
    holds = "tags"
    cannot_hold: ClassVar[Mapping[str, str]] = {"unlabelled": "left out", "unreadable": "left out"}

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the image; its classes are in a table."""
        file = f"images/{image.stem}{image.image.suffix}"
        write_whole(root / file, file_content(image.image))
        has = [int(index in (image.tags or ())) for index in range(labels.num_classes)]
        return {"list": image.split or "all", "row": [file, *has]}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the tables."""
        rows: dict[str, list[list[object]]] = defaultdict(list)
        for entry in entries:
            rows[entry["list"]].append(entry["row"])
        for name, body in rows.items():
            write_whole(root / f"{name}.csv", csv_text([["image", *labels.names], *body]))
        write_dataset_file(root, class_settings(self.name))
