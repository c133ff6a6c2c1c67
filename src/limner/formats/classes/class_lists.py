"""List files that name each image with its class: ``train.txt`` with lines ``name label``, or a CSV."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.labels import alphabetical
from limner.core.sample import Record
from limner.formats.classes.image_classes import ImageClasses
from limner.formats.classes.listed_classes import (
    COUNTED,
    ClassList,
    ListedImageFinder,
    class_lists,
    names_beside,
)
from limner.formats.file_tree import FileTree, list_files
from limner.formats.format_codes import format_finding
from limner.formats.split_lists import apply_split_lists


class ClassLists(ImageClasses):
    """Images with a class from a list: a number or a word."""

    name = "class-list"
    title = "list files that name an image and its class in each line (train.txt, val.txt), or a CSV"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; reads the first lines of a few lists."""
        if settings.images or settings.masks:
            return None
        lists = class_lists(root, list_files(root))
        return f"{', '.join(str(found.path) for found in lists)}: images with their class" if lists else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each line whose image exists."""
        tree = list_files(self.root)
        lists, finder = class_lists(self.root, tree), ListedImageFinder(tree)
        numbers, said = self._numbering(lists, tree)
        records: dict[PurePosixPath, Record] = {}
        missing: list[str] = []
        ambiguous: list[str] = []
        unclear: list[str] = []
        unknown: list[str] = []
        for found in lists:
            for name, labels in found.rows:
                paths = finder.candidates(name, found.path)
                if len(paths) != 1:
                    (ambiguous if paths else missing).append(f"{found.path}: {name}")
                    continue
                if len(labels) != 1:
                    unclear.append(f"{found.path}: {name}")
                    continue
                if labels[0] not in numbers:
                    unknown.append(f"{found.path}: {name} {labels[0]}")
                    continue
                (path,) = paths
                record = Record(
                    path.as_posix(),
                    self.root / path,
                    (self.root / found.path,),
                    found.split,
                    label=numbers[labels[0]],
                )
                other = records.setdefault(path, record)
                if (other.label, other.split) != (record.label, record.split):
                    raise _contradiction(path, other, record)
        listed = tuple(sorted(records.values(), key=lambda record: record.name))
        listed, findings = apply_split_lists(listed, self.root, self.settings, {}, may_be_unused=False)
        counts = ", ".join(f"{len(found.rows)} in {found.path}" for found in lists)
        place = str(lists[0].path) if lists else "the dataset"
        layout = format_finding("layout", place, f"{counts}. {said}")
        names = self.class_names
        unread = unread_lines(missing, ambiguous, lists)
        left_out = (*unread, *_unclear(unclear), *_unknown(unknown, names))
        return listed, (layout, *left_out, *findings)

    def _numbering(self, lists: Sequence[ClassList], tree: FileTree) -> tuple[dict[str, int], str]:
        """Return class as written -> number from 0, and a sentence about the numbering.

        Classes that the file of their names does not have get no number.
        """
        found = sorted(set(_single_classes(lists)))
        if not all(COUNTED.fullmatch(label) for label in found):
            names = names_beside(self.root, tree, lists, len(found))
            is_named = 2 * len(set(names).intersection(found)) > len(found)
            self.class_names = names if is_named else alphabetical(found)
            said = "numbered as their file orders them" if is_named else "numbered alphabetically"
            numbers = {name: number for number, name in enumerate(self.class_names)}
            return numbers, f"Classes are words, {said}."
        values = {label: int(float(label)) for label in found}
        base = 1 if min(values.values(), default=0) == 1 else 0
        last = max(values.values(), default=0)
        names = names_beside(self.root, tree, lists, last - base + 1)
        known = {label: value - base for label, value in values.items() if value - base < len(names)}
        if 2 * len(known) <= len(values):  # the file is about something else
            names, known = (), {label: value - base for label, value in values.items()}
        self.class_names = names or tuple(f"class {number}" for number in range(base, last + 1))
        last = base + len(self.class_names) - 1
        said = f"Classes are numbered from {base} to {last}: {base} is the first class"
        said += f", {self.class_names[0]!r}" if names else ""
        return known, f"{said}."


def _single_classes(lists: Iterable[ClassList]) -> list[str]:
    """Return the classes of the images that have one, as written."""
    return [labels[0] for found in lists for _, labels in found.rows if len(labels) == 1]


def _contradiction(path: PurePosixPath, first: Record, second: Record) -> DataError:
    return DataError(
        describe(
            "An image is listed with two classes or in two splits",
            where=str(path),
            found=f"{first.labels[0].name} and {second.labels[0].name}",
            expected="each image once",
            fix="Remove it from one of them.",
        )
    )


def unread_lines(
    missing: Sequence[str], ambiguous: Sequence[str], lists: Iterable[ClassList]
) -> list[Finding]:
    """Return findings for the lines of which no image is read.

    Args:
        missing: Lines that name an image that is not there.
        ambiguous: Lines that could name several images.
        lists: The lists, whose uneven lines are reported too.
    """
    uneven = [f"{found.path}: {line}" for found in lists for line in found.uneven]
    return [
        *_left_out(
            "listed-file-missing",
            missing,
            "name an image that is missing",
            "an image in the dataset folder",
            "Add the files, or remove the lines.",
        ),
        *_left_out(
            "listed-file-ambiguous",
            ambiguous,
            "name an image of which there are several",
            "a name that only one image has, or the folders before it",
            "Write the folder before each name, as in `left/1.png`.",
        ),
        *_left_out(
            "listed-line-uneven",
            uneven,
            "have another number of cells than the first line",
            "as many cells in each line",
            'Put cells with commas into double quotes, as in `1.png,"ants, red"`.',
        ),
    ]


def _unclear(lines: Sequence[str]) -> list[Finding]:
    return _left_out(
        "listed-class-unclear",
        lines,
        "give an image no class, or several",
        "one class for each image",
        "Fill in the class, or keep one.",
    )


def _unknown(lines: Sequence[str], names: Sequence[str]) -> list[Finding]:
    """Return an error for images of a class that does not exist."""
    return _left_out(
        "listed-class-unknown",
        lines,
        "give an image a class that the file of class names does not have",
        f"one of {len(names)} classes: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}",
        "Correct the class, or add it to the file of class names.",
    )


def _left_out(code: str, lines: Sequence[str], said: str, expected: str, fix: str) -> list[Finding]:
    if not lines:
        return []
    lists = Counter(line.partition(":")[0] for line in lines)
    found = f"{len(lines)} lines of {', '.join(lists)} {said}; they are left out."
    return [format_finding(code, lines[0], found, expected=expected, fix=fix, files=lines)]
