"""Write WebDataset's shards: ``SPLIT-000000.tar`` with each image and its labels, and ``dataset.yaml``.

Labels of single images wait in ``labels/`` until all are there, so that a conversion can be interrupted; the
images go straight from their own files into the archives.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from limner.core.labels import LabelTable
from limner.formats.archives.tar_samples import key_of
from limner.formats.archives.webdataset import WebDataset
from limner.formats.archives.webdataset_classes import WebDatasetClasses
from limner.formats.dataset_yaml import write_dataset_file
from limner.formats.writers import Entry, Outgoing, Writer, one_class, settings_of
from limner.images.embedded_images import image_file
from limner.storage.whole_files import write_whole
from limner.storage.written_tars import TarMember, write_tars

CHECKSUMS = "SHA256SUMS"
"""Name of the file with the hash of each archive, as ``sha256sum --check`` reads it."""

_LABELS = "labels"


class WriteWebDataset(Writer):
    """Writes ``KEY.mask.png`` beside each image, with 0 to K-1, and 255 for pixels that are not scored."""

    name = WebDataset.name
    cannot_hold: ClassVar[Mapping[str, str]] = {
        "instances": "objects of a class are united",
        "field-of-view": "become ignored",
        "unreadable": "left out",
        "transcriptions": "are dropped",
    }

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Write the label map; the image is read again when the archives are written."""
        entry = _entry(image)
        if image.labels is None:
            return entry
        mask, values = root / _LABELS / f"{image.stem}.png", image.labels
        if image.region is not None:
            values = np.where(image.region, values, labels.ignore_index).astype(values.dtype)
        image.write_labels(mask, values)
        return entry | {"mask": f"{_LABELS}/{mask.name}"}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the archives, their checksums and the settings."""
        _write_archives(root, entries)
        write_dataset_file(root, settings_of(labels, name=self.name, splits={}))


class WriteWebDatasetClasses(Writer):
    """Writes ``KEY.cls`` beside each image, with the number of its class from 0."""

    name = WebDatasetClasses.name
    holds = "classes"
    cannot_hold: ClassVar[Mapping[str, str]] = {"unlabelled": "left out", "unreadable": "left out"}

    def write_image(self, root: Path, image: Outgoing, labels: LabelTable) -> Entry:
        """Note the class; the image is read again when the archives are written."""
        return _entry(image) | {"class": one_class(image)}

    def finish(self, root: Path, entries: Iterable[Entry], labels: LabelTable) -> None:
        """Write the archives, their checksums and the settings."""
        _write_archives(root, entries)
        write_dataset_file(root, settings_of(labels, name=self.name, splits={}))


def _entry(image: Outgoing) -> Entry:
    return {"stem": image.stem, "split": image.split, "image": str(image.image.absolute())}


def _write_archives(root: Path, entries: Iterable[Entry]) -> None:
    """Write the archives of each split and their checksums, and remove the single labels."""
    written: list[tuple[str, str]] = []
    for split in dict.fromkeys(entry["split"] for entry in entries):
        samples = (_members(root, entry) for entry in entries if entry["split"] == split)
        written += write_tars(root, split or "data", samples)
    write_whole(root / CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in written))
    shutil.rmtree(root / _LABELS, ignore_errors=True)


def _members(root: Path, entry: Entry) -> Iterator[TarMember]:
    """Yield the image and the label of a sample."""
    key = key_of(entry["stem"])
    suffix, data = image_file(Path(entry["image"]))
    yield f"{key}{suffix.lower()}", data
    if "mask" in entry:
        yield f"{key}.mask.png", (root / entry["mask"]).read_bytes()
    if "class" in entry:
        yield f"{key}.cls", str(entry["class"]).encode()
