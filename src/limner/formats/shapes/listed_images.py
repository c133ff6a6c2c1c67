"""Formats of objects that list many images in one file: they find the images and read the list."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.sample import Record
from limner.formats.drawn import Drawn
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import split_of_folder
from limner.formats.image_finder import ImageFinder
from limner.formats.problems import Problems
from limner.formats.shapes.annotation_files import split_of
from limner.formats.shapes.object_source import ObjectSource
from limner.formats.split_lists import SplitPlaces, split_of_list
from limner.storage.json_files import MAX_SNIFFED, ends

Drawing = tuple[Sequence[Drawn], tuple[int, int] | None]
"""The objects of one image, with the numbers from `number_of` as values; and height and width, or None."""


@dataclass(frozen=True)
class Listed:
    """One image of a label file.

    Attributes:
        names: Its path as the file writes it, with or without folders and suffix; then others to try.
        where: File and image, for findings.
        item: What the format reads the objects from.
        near: The subset or other folder names near which the image is looked for.
        is_labelled: Whether an image without objects has none, rather than being unlabelled.
        entry: What distinguishes its record from others of the file; defaults to `where`.
    """

    names: Sequence[str]
    where: str
    item: Any
    near: str = ""
    is_labelled: bool = True
    entry: str = ""


class ListedImages(ObjectSource):
    """Objects of many images in one file, or a few."""

    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    """Suffixes of the label files, in lower case."""
    boxes_are_masks: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def is_one(cls, both: bytes) -> bool:
        """Tell by the bytes at both ends whether a file of the suffix is one of this format."""

    @abstractmethod
    def listed(self, path: PurePosixPath, tree: FileTree) -> Iterable[Listed]:
        """Yield the images of one file.

        Raises:
            DataError: It cannot be read, or is of another kind.
        """

    @abstractmethod
    def draw(self, listed: Listed, image: PurePosixPath, problems: Problems) -> Drawing:
        """Return the objects of an image that was found, and the size that the file states."""

    @classmethod
    def label_files(cls, root: Path, tree: FileTree) -> list[PurePosixPath]:
        """Return the files of this format."""
        return [path for path in cls.candidates(tree)[:MAX_SNIFFED] if cls.is_one(ends(root / path))]

    @classmethod
    def candidates(cls, tree: FileTree) -> list[PurePosixPath]:
        """Return the files that may be label files; what a competition wants to be handed in is none."""
        named = [path for path in tree.others if path.suffix.casefold() in cls.suffixes]
        return [path for path in named if "submission" not in path.stem.casefold()] or named

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.masks:
            return None
        found = cls.label_files(root, list_files(root))
        return f"{', '.join(map(str, found))}: {cls.title}" if found else None

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Yield a record for each listed image that is on disk."""
        kind = " or ".join(suffix[1:].upper() for suffix in self.suffixes)
        files = self.label_files(self.root, tree) or self.candidates(tree)
        if not files:
            raise DataError(describe(f"There is no {kind} file", where=self.root, expected=self.title))
        finder = ImageFinder(tree.images, by_stem=True)
        splits = {file: split_of_list(file) or split_of_folder(file.stem) for file in files}
        self._split_of = splits if len({*splits.values()} - {None}) > 1 else {}
        taken: set[PurePosixPath] = set()
        for file in files:
            listed = [*self.listed(file, tree)]
            finder.expect(name for one in listed for name in one.names[:1])
            for one in listed:
                near = [one.near, *reversed(file.parts[:-1])]
                image = next((found for name in one.names if (found := finder.find(name, near=near))), None)
                if image is None:
                    problems.add(
                        "image-missing", one.where, f"no {next(iter(one.names), '') or 'name'} on disk"
                    )
                elif image in taken:
                    problems.add("image-in-two-files", one.where, f"{image} is listed elsewhere too")
                else:
                    taken.add(image)
                    yield self._record(one, image, file, problems)
        for image in tree.images:
            if image not in taken:
                problems.add("image-not-listed", str(image), f"an image that no {kind} lists")

    def split_lists(self, tree: FileTree, records: tuple[Record, ...]) -> SplitPlaces:
        """Return the list files of the splits; a table of labels called train.csv is none."""
        own = {*self.label_files(self.root, tree)}
        others = tuple(path for path in tree.others if path not in own)
        return super().split_lists(replace(tree, others=others), records)

    def _record(
        self, listed: Listed, image: PurePosixPath, file: PurePosixPath, problems: Problems
    ) -> Record:
        drawn, size = self.draw(listed, image, problems)
        entry = f"{listed.entry or listed.where} {image}"
        self.keep(entry, drawn, size, where=listed.where, file=str(image))
        labels = (self.root / file,) if listed.is_labelled else ()
        if not labels:
            problems.add("image-without-mask", str(image), "listed without annotations")
        split = split_of_folder(listed.near) or split_of(image) or split_of(file) or self._split_of.get(file)
        return Record(image.with_suffix("").as_posix(), self.root / image, labels, split, entry=entry)
