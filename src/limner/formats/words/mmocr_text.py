"""MMOCR's JSON of words: a ``data_list`` of images, each with ``instances`` of polygons."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.core.dataset_file import DatasetFile
from limner.core.finding import Finding
from limner.core.sample import Record
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import split_of_folder
from limner.formats.image_finder import ImageFinder
from limner.formats.pairs.pairing_findings import tree_findings
from limner.formats.problems import Problems
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.formats.terms import Terms
from limner.formats.words.words_source import RawWord, WordsSource
from limner.storage.json_files import MAX_SNIFFED, JsonObject, ends, read_json_object, unreadable
from limner.storage.usable_numbers import numbers_in

WHAT = "MMOCR's list of words"
EXPECTED = "JSON with `metainfo` and `data_list`, whose rows have `img_path` and `instances`"


class MmocrText(WordsSource):
    """Words with polygons of any length, or boxes if there are none; ``ignore`` is respected."""

    name = "mmocr-text"
    terms: ClassVar[Terms] = Terms("words", "words", listing="JSON", entry="a row of `data_list`")
    title = "MMOCR's JSON of words (data_list with img_path and instances), with the images beside it"

    def __init__(self, root: Path, settings: DatasetFile) -> None:
        self._instances: dict[str, list[RawWord]] = {}
        super().__init__(root, settings)

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.masks:
            return None
        found = _files(root, list_files(root))
        return f"{', '.join(map(str, found))} in the shape of MMOCR's text detection" if found else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each listed image that is on disk."""
        tree, problems = list_files(self.root), Problems()
        finder, records = ImageFinder(tree.images), dict[str, Record]()
        files = _files(self.root, tree)
        if not files:
            first = next((self.root / p for p in tree.others if p.suffix == ".json"), self.root)
            raise unreadable(first, what=WHAT, found="another kind of JSON, or none", expected=EXPECTED)
        for file in files:
            split = _split(file) if len(files) > 1 else None
            for position, row in enumerate(_rows(self.root / file)):
                name = row.text("img_path").replace("\\", "/")
                path = finder.find(name, near=[split] if split else [])
                if path is None:
                    problems.add("image-missing", f"{file}, image {position}", f"no {name} on disk")
                    continue
                record = Record(
                    str(path).removesuffix(path.suffix),
                    self.root / path,
                    (self.root / file,),
                    split,
                    entry=f"{file}#{position}",
                )
                if records.setdefault(record.name, record) is not record:
                    problems.add("image-in-two-files", f"{file}, image {position}", f"{name} is listed twice")
                self._instances[str(record.entry)] = [
                    _word(word, f"{record.entry}, word {number}")
                    for number, word in enumerate(row.children("instances"))
                ]
        by_name = tuple(sorted(records.values(), key=lambda record: record.name))
        by_name, findings = apply_split_lists(by_name, self.root, self.settings, lists_beside(tree, by_name))
        return by_name, (*problems.findings(self.terms), *tree_findings(tree), *findings)

    def raw_words(self, record: Record) -> Iterator[RawWord]:
        """Return the instances of an image, which were read when the folder was opened."""
        return iter(self._instances.get(str(record.entry), ()))


def _files(root: Path, tree: FileTree) -> list[PurePosixPath]:
    named = [path for path in tree.others if path.suffix.lower() == ".json"][:MAX_SNIFFED]
    return [path for path in named if _looks_right(root / path)]


def _looks_right(path: Path) -> bool:
    both = ends(path)
    return b'"data_list"' in both and b'"instances"' in both and (b'"polygon"' in both or b'"TextDet' in both)


def _rows(path: Path) -> list[JsonObject]:
    return read_json_object(path, what=WHAT, expected=EXPECTED, lists="data_list").children("data_list")


def _word(row: JsonObject, where: str) -> RawWord:
    outline = row.value("polygon" if row.is_set("polygon") else "bbox")
    text = row.text("text") if row.value("text") is not None else None
    return RawWord(numbers_in(outline), where, text, row.is_set("ignore"))


def _split(path: PurePosixPath) -> str | None:
    words = re.findall(r"[a-z]+", path.stem.casefold())
    return next((split for word in words if (split := split_of_folder(word))), None)
