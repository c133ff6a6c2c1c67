"""Write ``images/NAME.*`` and ``masks/NAME.png`` with a `dataset.yaml` that names the classes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from limner.core.labels import LabelTable
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.pairs.paired_folders import PairedFolders
from limner.formats.writers import Outgoing, Writer, lists_of, settings_of
from limner.images.masks import write_values
from limner.storage.whole_files import write_whole


class WritePairedFolders(Writer):
    """Masks hold 0 to K-1, and 255 for pixels that are not scored; ``fov/`` holds the fields of view."""

    name = PairedFolders.name
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "instances": "objects of a class are united",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write(self, root: Path, images: Iterable[Outgoing], labels: LabelTable) -> None:
        """Write the images one by one, then lists and settings."""
        members: list[tuple[str, str | None]] = []
        has_region = False
        for image in images:
            image.copy_into(root / "images")
            if image.labels is not None:
                write_values(root / "masks" / f"{image.stem}.png", image.labels)
            if image.region is not None:
                write_values(
                    root / "fov" / f"{image.stem}.png", image.region.astype(np.uint8) * np.uint8(255)
                )
                has_region = True
            members.append((image.stem, image.split))
        lists = lists_of(members)
        for split, stems in lists.items():
            write_whole(root / f"{split}.txt", "".join(f"{stem}\n" for stem in stems))
        settings = settings_of(labels, name=self.name, splits={split: f"{split}.txt" for split in lists})
        write_dataset_file(root, settings | ({"valid_region": "fov/{stem}.png"} if has_region else {}))
