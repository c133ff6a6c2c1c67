"""Base of the formats with a text file of words for each image, found by its name."""

import re
from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import split_of_folder
from limner.formats.format_codes import format_finding
from limner.formats.pairs.pairing_findings import tree_findings
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.formats.words.words_source import WordsSource
from limner.storage.text_files import read_text

_MAX_TRIED = 5
_MIN_PAIRED = 0.5
_MARK = re.compile(r"^(?:poly_)?gt_|_gt$", re.IGNORECASE)


class WordFiles(WordsSource):
    """Words in text files such as ``gt_img_1.txt`` for ``img_1.jpg``, in the same folder or another one."""

    line: str
    """How a line of a file is described in messages."""

    @classmethod
    @abstractmethod
    def are_words(cls, lines: list[str]) -> bool:
        """Return whether the first lines of a file, at least one, are in this format."""

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; reads the first lines of a few files."""
        if settings.images or settings.masks:
            return None
        tree = list_files(root)
        if not any(path.suffix.lower() == ".txt" for path in tree.others):
            return None  # before a hundred thousand images are looked at
        pairs = _pairs(tree)
        texts = [text for text in pairs.values() if text]
        if len(texts) < _MIN_PAIRED * len(pairs) or not texts:
            return None
        firsts = [[*_tried(root / text).values()][:_MAX_TRIED] for text in texts[:_MAX_TRIED]]
        if not any(firsts) or not all(cls.are_words(lines) for lines in firsts if lines):
            return None
        return f"lines of corners and words in files such as {texts[0]}"

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image."""
        tree = list_files(self.root)
        pairs = _pairs(tree)
        known = {_split(path) for path in pairs}
        records = tuple(
            Record(
                str(image).removesuffix(image.suffix),
                self.root / image,
                (self.root / text,) if text else (),
                _split(image) if len(known) > 1 else None,
            )
            for image, text in sorted(pairs.items())
        )
        records, findings = apply_split_lists(records, self.root, self.settings, lists_beside(tree, records))
        paired = sum(text is not None for text in pairs.values())
        said = f"{paired} of {len(pairs)} images have a text file with words."
        return records, (
            format_finding("layout", "the dataset", said),
            *tree_findings(tree),
            *findings,
        )

    def lines_of(self, record: Record) -> tuple[Path, dict[int, str]]:
        """Return the text file of an image, and its lines that are not empty by their numbers from 1.

        Raises:
            DataError: There is none, or it is in no known encoding.
        """
        if not record.labels:
            raise DataError(describe("The image has no file of words", where=record.image))
        path = record.labels[0]
        try:
            return path, filled_lines(path)
        except (OSError, ValueError) as error:
            raise self.no_words(path, str(error)) from None

    def no_words(self, path: Path, found: str) -> DataError:
        """Return the error of a file that has something else."""
        return DataError(
            describe(
                "The file of words cannot be read",
                where=path,
                found=found,
                expected=f"text in UTF-8, `{self.line}` on each line; empty if there is no word",
                fix="Export it again, or save it as UTF-8.",
            )
        )


def filled_lines(path: Path) -> dict[int, str]:
    """Return the lines of a file that are not empty by their numbers from 1, as editors count them.

    Raises:
        OSError: It cannot be read.
        ValueError: It is in no known encoding.
    """
    lines = enumerate(read_text(path).splitlines(), start=1)
    return {number: line for number, line in lines if line.strip()}


def _tried(path: Path) -> dict[int, str]:
    """Return the lines of a file, none if it cannot be read."""
    try:
        return filled_lines(path)
    except (OSError, ValueError):
        return {}


def _pairs(tree: FileTree) -> dict[PurePosixPath, PurePosixPath | None]:
    """Return image -> its text file, by name without the prefix ``gt_``, within one split.

    Of several, it is the one with most folders in common; where two are equal, there is none.
    """
    if "word-files" not in tree.remembered:
        texts: dict[str, list[PurePosixPath]] = defaultdict(list)
        for path in tree.others:
            if path.suffix.lower() == ".txt":
                texts[_MARK.sub("", path.stem)].append(path)
        pairs: dict[PurePosixPath, PurePosixPath | None] = {}
        images_of: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
        for image, stem in zip(tree.images, tree.stems, strict=True):
            fitting = [t for t in texts.get(stem, ()) if _split(t) in (None, _split(image))]
            pairs[image] = text = _nearest(image, fitting)
            if text is not None:
                images_of[text].append(image)
        for text, images in images_of.items():
            pairs |= dict.fromkeys(set(images) - {_nearest(text, images)}, None)
        tree.remembered["word-files"] = pairs
    found: dict[PurePosixPath, PurePosixPath | None] = tree.remembered["word-files"]
    return found


def _nearest(path: PurePosixPath, others: Sequence[PurePosixPath]) -> PurePosixPath | None:
    """Return the file with most folders in common, or None if there is none, or several are equal."""
    if len(others) < 2:
        return next(iter(others), None)
    folders = Counter(path.parts[:-1])
    shared = [(folders & Counter(other.parts[:-1])).total() for other in others]
    most = [other for other, number in zip(others, shared, strict=True) if number == max(shared)]
    return most[0] if len(most) == 1 else None


def _split(path: PurePosixPath) -> str | None:
    """Return the split named by a word of a folder, such as ``ch4_training_images``."""
    for part in path.parts[:-1]:
        for word in re.findall(r"[a-z]{3,}", part.casefold()):
            if split := split_of_folder(word):
                return split
    return None
