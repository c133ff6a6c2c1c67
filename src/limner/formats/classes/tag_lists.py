"""Lists of images with any number of classes: a CSV with a column for each class, or several in a cell."""

from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import alphabetical
from limner.core.sample import Record
from limner.formats.classes.class_lists import unread_lines
from limner.formats.classes.image_classes import ImageClasses
from limner.formats.classes.listed_classes import ClassList, ListedImageFinder, class_lists
from limner.formats.file_tree import list_files
from limner.formats.format_codes import format_finding
from limner.formats.split_lists import apply_split_lists

MIN_SEVERAL, FEWEST_SEVERAL = 0.1, 3
"""Minimum part and number of the lines with several classes; fewer are mistakes in a list of single ones."""


class TagLists(ImageClasses):
    """Images with any number of classes from a list."""

    name = "tag-list"
    title = "a CSV with a column for each class, 1 where an image has it, or with several classes in a cell"
    tasks = ("multilabel",)

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.images or settings.masks:
            return None
        lists = class_lists(root, list_files(root))
        rows = [labels for found in lists for _, labels in found.rows]
        several = sum(len(labels) > 1 for labels in rows)
        if settings.format != cls.name and several < max(MIN_SEVERAL * len(rows), FEWEST_SEVERAL):
            return None
        names = ", ".join(str(found.path) for found in lists)
        return f"{names}: {several} of {len(rows)} images with several classes" if lists else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each line whose image exists; classes are numbered alphabetically."""
        tree = list_files(self.root)
        lists, finder = class_lists(self.root, tree), ListedImageFinder(tree)
        self.class_names = alphabetical({name for each in lists for _, names in each.rows for name in names})
        numbers = {name: number for number, name in enumerate(self.class_names)}
        records: dict[PurePosixPath, Record] = {}
        missing: list[str] = []
        ambiguous: list[str] = []
        for found in lists:
            for name, labels in found.rows:
                paths = finder.candidates(name, found.path)
                if len(paths) != 1:
                    (ambiguous if paths else missing).append(f"{found.path}: {name}")
                    continue
                (path,) = paths
                record = self._record(path, found, tuple(sorted({numbers[label] for label in labels})))
                other = records.setdefault(path, record)
                if (other.tags, other.split) != (record.tags, record.split):
                    raise _contradiction(path, other, record)
        listed = tuple(sorted(records.values(), key=lambda record: record.name))
        listed, findings = apply_split_lists(listed, self.root, self.settings, {}, may_be_unused=False)
        counts = ", ".join(f"{len(found.rows)} in {found.path}" for found in lists)
        said = f"{counts}. An image may have any number of {len(self.class_names)} classes."
        layout = format_finding("layout", str(lists[0].path) if lists else "the dataset", said)
        return listed, (layout, *unread_lines(missing, ambiguous, lists), *findings)

    def read_tags(self, record: Record) -> tuple[int, ...]:
        """Return the numbers of the image's classes, from 0."""
        return record.tags or ()

    def _record(self, path: PurePosixPath, found: ClassList, tags: tuple[int, ...]) -> Record:
        labels = (self.root / found.path,)
        return Record(path.as_posix(), self.root / path, labels, found.split, tags=tags)


def _contradiction(path: PurePosixPath, first: Record, second: Record) -> DataError:
    return DataError(
        describe(
            "An image is listed with different classes or in two splits",
            where=str(path),
            found=f"{first.labels[0].name} and {second.labels[0].name}",
            expected="each image once",
            fix="Remove it from one of them.",
        )
    )
