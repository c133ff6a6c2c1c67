"""ICDAR's words: a text file per image of lines ``x1,y1,...,xn,yn,transcription``; ``###`` is unreadable."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.finding import Finding, Severity
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import split_of_folder
from limner.formats.pairs.pairing_findings import tree_findings
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.formats.words.words_source import RawWord, WordsSource
from limner.storage.text_files import read_text
from limner.storage.usable_numbers import number_of, numbers_in

ILLEGIBLE = "###"
_MAX_TRIED = 5
_MIN_PAIRED = 0.5
_NUMBER = re.compile(r"\s*-?\d+(\.\d+)?\s*")
_SPACED = re.compile(r'\s*((?:-?\d+\s+){4,})(".*")\s*')
"""A line of ICDAR 2013: ``38 43 920 215 "Tiredness"``."""
_MARK = re.compile(r"^(?:poly_)?gt_|_gt$", re.IGNORECASE)


class IcdarText(WordsSource):
    """Words with 4 corners, or with as many as the line has numbers for."""

    name = "icdar-text"
    title = "ICDAR's words: gt_img_1.txt for img_1.jpg, each line x1,y1,...,x4,y4,transcription"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; reads the first lines of a few files."""
        if settings.images or settings.masks:
            return None
        tree = list_files(root)
        if not any(path.suffix.lower() == ".txt" for path in tree.others):
            return None  # before a hundred thousand images are looked at
        pairs = _pairs(tree)
        texts = [text for text in pairs.values() if text][:_MAX_TRIED]
        if len([text for text in pairs.values() if text]) < _MIN_PAIRED * len(pairs) or not texts:
            return None
        lines = [line for text in texts for line in _lines(root / text, strict=False)[:_MAX_TRIED]]
        if not lines or not all(_num_leading(line) >= 4 for line in lines):
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
            Finding("layout", Severity.NOTE, "the dataset", said),
            *tree_findings(tree),
            *findings,
        )

    def raw_words(self, record: Record) -> Iterator[RawWord]:
        """Read the file of an image; commas after the corners belong to the transcription."""
        if not record.labels:
            raise DataError(describe("The image has no file of words", where=record.image))
        path = record.labels[0]
        lines = _lines(path, strict=True)
        if lines and not any(map(_num_leading, lines)):
            raise _no_words(path, repr(lines[0][:40]))
        usual = _usual_numbers(lines)
        for number, line in enumerate(lines, start=1):
            fields = line.split(",")
            count = usual if usual and _num_leading(line) >= usual else _num_leading(line)
            text = ",".join(fields[count:]) or None
            where = f"{path.relative_to(self.root).as_posix()}, line {number}"
            ignored = text is not None and text.strip().strip('"') == ILLEGIBLE
            corners = [number_of(field) for field in fields[: count if count >= 4 else 8]]
            said = None if ignored or text is None else text.strip()
            if said and count == 4:  # ICDAR 2013 puts its words into quotes
                said = re.sub(r'^"(.*)"$', r"\1", said)
            yield RawWord(numbers_in(corners), where, said, ignored)


def _usual_numbers(lines: list[str]) -> int | None:
    """Return how many numbers each line begins with, judged by the lines whose word is not a number itself.

    Otherwise ``...,1990`` and ``...,12,34`` would be taken for corners. None if polygons differ in length.
    """
    counts = Counter(_num_leading(line) for line in lines if _num_leading(line) < len(line.split(",")))
    if len(counts) == 1:
        return next(iter(counts))
    return 8 if counts and counts[8] > 0.5 * sum(counts.values()) else None


def _num_leading(line: str) -> int:
    """Return how many numbers precede the transcription, an even number."""
    count = 0
    for field in line.split(","):
        if not _NUMBER.fullmatch(field):
            break
        count += 1
    return count - count % 2


def _lines(path: Path, *, strict: bool) -> list[str]:
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        if not strict:
            return []
        raise _no_words(path, str(error)) from None
    return [_with_commas(line) for line in text.splitlines() if line.strip()]


def _with_commas(line: str) -> str:
    spaced = _SPACED.fullmatch(line)
    return ",".join((*spaced[1].split(), spaced[2])) if spaced else line


def _no_words(path: Path, found: str) -> DataError:
    return DataError(
        describe(
            "The file of words cannot be read",
            where=path,
            found=found,
            expected="text in UTF-8, `x1,y1,...,transcription` on each line; empty if there is no word",
            fix="Export it again, or save it as UTF-8.",
        )
    )


def _pairs(tree: FileTree) -> dict[PurePosixPath, PurePosixPath | None]:
    """Return image -> its text file, by name without the prefix ``gt_``, within one split."""
    if "icdar-text" not in tree.remembered:
        texts: dict[str, list[PurePosixPath]] = defaultdict(list)
        for path in tree.others:
            if path.suffix.lower() == ".txt":
                texts[_MARK.sub("", path.stem)].append(path)
        pairs: dict[PurePosixPath, PurePosixPath | None] = {}
        for image, stem in zip(tree.images, tree.stems, strict=True):
            fitting = [t for t in texts.get(stem, ()) if _split(t) in (None, _split(image))]
            pairs[image] = fitting[0] if len(fitting) == 1 else None
        tree.remembered["icdar-text"] = pairs
    found: dict[PurePosixPath, PurePosixPath | None] = tree.remembered["icdar-text"]
    return found


def _split(path: PurePosixPath) -> str | None:
    """Return the split named by a word of a folder, such as ``ch4_training_images``."""
    for part in path.parts[:-1]:
        for word in re.findall(r"[a-z]{3,}", part.casefold()):
            if split := split_of_folder(word):
                return split
    return None
