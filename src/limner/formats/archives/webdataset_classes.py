"""WebDataset's shards of images with classes: tar archives with ``KEY.jpg`` and its class in ``KEY.cls``."""

from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.core.finding import Finding
from limner.core.labels import MAX_CLASSES
from limner.core.sample import Record
from limner.formats.archives.tar_samples import TarSample
from limner.formats.archives.webdataset import OpenedArchives, evidence_of, open_archives
from limner.formats.classes.image_classes import ImageClasses
from limner.formats.file_tree import list_files
from limner.formats.format_codes import format_finding
from limner.formats.split_lists import apply_split_lists, lists_beside


class WebDatasetClasses(ImageClasses):
    """Images in tar archives with the number of their class, from 0."""

    name = "webdataset-classes"
    title = "tar archives with an image and the number of its class of the same key (0001.jpg, 0001.cls)"
    other_folders_are_known = True

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; reads the names in one archive."""
        return evidence_of(root, settings, cls.name, lambda sample: bool(sample.classes))

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image with a class."""
        tree, opened = list_files(self.root), open_archives(self.root)
        unclear: list[str] = []
        numbers = {
            (path, sample.key): number
            for path, sample, _ in opened.images()
            if (number := _class_of(opened, path, sample, unclear)) is not None
        }
        records = tuple(
            record
            for record in opened.records(
                lambda path, sample: {
                    "label": numbers.get((path, sample.key)),
                    "labels": tuple(self.root / path / name for name in sample.classes),
                }
            )
            if record.label is not None
        )
        lists = lists_beside(tree, records)
        records, split_findings = apply_split_lists(records, self.root, self.settings, lists)
        self.class_names = self._names(max((record.label or 0 for record in records), default=-1))
        findings = [opened.layout("with a class", len(records)), *opened.damage()]
        if unclear:
            found = f"{len(unclear)} images have no number of a class of their key; they are left out."
            expected, fix = "KEY.cls with a number from 0", "Write the number, or leave the images out."
            findings.append(
                format_finding(
                    "listed-class-unclear", unclear[0], found, expected=expected, fix=fix, files=unclear
                )
            )
        return records, (*findings, *split_findings)

    def _names(self, last: int) -> list[str]:
        """Return the names of the classes from 0 to `last`, or to the last one in dataset.yaml."""
        table = self.settings.label_table()
        names = {} if table is None else {value: c.name for c in table.classes for value in c.values}
        count = min(max([last, *names]) + 1, MAX_CLASSES)
        return [names.get(number, f"class {number}") for number in range(count)]

    def cache_state(self) -> None:
        """Return None: the positions in the archives are kept."""
        return


def _class_of(
    opened: OpenedArchives, path: PurePosixPath, sample: TarSample, unclear: list[str]
) -> int | None:
    """Return the number of a sample's class, or None, which is noted in `unclear`."""
    try:
        text = opened.members[path].read(sample.classes[0]).decode("ascii").strip() if sample.classes else ""
    except (DataError, ValueError):
        text = ""
    if text.isdecimal() and int(text) < MAX_CLASSES:
        return int(text)
    unclear.append(f"{path}/{sample.image}")
    return None
