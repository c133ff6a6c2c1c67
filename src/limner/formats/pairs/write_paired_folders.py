"""Write ``images/NAME.*`` and ``masks/NAME.png`` with a `dataset.yaml` that names the classes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from limner.core.labels import LabelTable
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.pairs.paired_folders import PairedFolders
from limner.formats.writers import Entry, Outgoing, Writer, lists_of, member, settings_of, write_stem_lists
from limner.images.masks import write_values


class WritePairedFolders(Writer):
    """Masks hold 0 to K-1, and 255 for pixels that are not scored; ``fov/`` holds the fields of view."""

    name = PairedFolders.name
    volumes = "also"
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "instances": "objects of a class are united",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the image, its mask and its field of view."""
        image.copy_into(root / "images")
        if image.labels is not None:
            suffix = image.suffix if image.is_volume else ".png"
            image.write_labels(root / "masks" / f"{image.stem}{suffix}", image.labels)
        if image.region is not None:
            write_values(root / "fov" / f"{image.stem}.png", image.region.astype(np.uint8) * np.uint8(255))
        return member(image) | {"has_region": image.region is not None}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write lists and settings."""
        lists = lists_of(entries)
        write_stem_lists(root, lists)
        settings = settings_of(labels, name=self.name, splits={split: f"{split}.txt" for split in lists})
        has_region = any(entry["has_region"] for entry in entries)
        write_dataset_file(root, settings | ({"valid_region": "fov/{stem}.png"} if has_region else {}))
