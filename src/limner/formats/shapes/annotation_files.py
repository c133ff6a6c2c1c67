"""Formats of objects with one label file for each image: they find the image and read the file."""

from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError, describe
from limner.core.sample import Record
from limner.formats.drawn import Drawn
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import split_of_folder
from limner.formats.name_index import NameIndex
from limner.formats.problems import Problems
from limner.formats.shapes.object_source import ObjectSource


@dataclass(frozen=True)
class LabelFile:
    """The content of one label file.

    Attributes:
        drawn: Its objects, with the numbers from `number_of` as values.
        image_name: The image as the file calls it, with or without folders, or empty.
        size: Height and width, or None.
        holds_image: The file carries the image itself.
    """

    drawn: Sequence[Drawn]
    image_name: str = ""
    size: tuple[int, int] | None = None
    holds_image: bool = False


class AnnotationFiles(ObjectSource):
    """Objects in one label file for each image."""

    suffix: ClassVar[str]
    """Suffix of the label files, in lower case."""
    files_called: ClassVar[str]
    """What several of the label files are called, such as ``JSON files of labelme``."""
    bare_image_is_empty: ClassVar[bool] = False
    """Whether an image without a label file has no objects, rather than being unlabelled."""

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.masks:
            return None
        found = cls.label_files(root, list_files(root))
        return f"{len(found)} {cls.files_called}, such as {found[0]}" if found else None

    @classmethod
    @abstractmethod
    def label_files(cls, root: Path, tree: FileTree) -> Sequence[PurePosixPath]:
        """Return the label files, sorted."""

    @abstractmethod
    def read_file(self, path: PurePosixPath, problems: Problems) -> LabelFile:
        """Parse one label file.

        Raises:
            DataError: It cannot be read at all.
        """

    def gather(self, tree: FileTree, problems: Problems) -> Iterator[Record]:
        """Yield a record for each image with a label file, and for images beside it without one."""
        names = _Names()
        labels: dict[PurePosixPath, tuple[PurePosixPath, LabelFile | None]] = {}
        files = self.label_files(self.root, tree)
        if not files:
            raise self._no_files(tree)
        finder = ImagesOfFiles(tree.images, files)
        for path in files:
            found, error = None, None
            try:
                found = self.read_file(path, problems)
            except DataError as refused:
                error = refused
            stated, holds_image = (found.image_name, found.holds_image) if found else ("", False)
            image = finder.claim(path, stated, holds_image=holds_image, problems=problems)
            if image is None:
                continue
            name = names.of(image)
            labels[image.with_suffix("")] = path, found
            if error is not None:
                self.keep_error(name, error)
            elif found is not None:
                self.keep(name, found.drawn, found.size, where=str(path), file=str(path))
            yield Record(name, self.root / image, (self.root / path,), split_of(image) or split_of(path))
        folders = {image.parent for image in finder.taken}
        bare = [image for image in tree.images if image not in finder.taken]
        yield from self._without_file([i for i in bare if i.parent in folders], labels, names, problems)
        for folder, number in sorted(Counter(i.parent for i in bare if i.parent not in folders).items()):
            found_there = f"{number} image{'' if number == 1 else 's'}, and no label file of their names"
            problems.add("folder-without-labels", f"{folder}/", found_there)

    def _no_files(self, tree: FileTree) -> DataError:
        others = [str(self.root / path) for path in tree.others if path.suffix.lower() == self.suffix]
        return DataError(
            describe(
                "There is no label file of this format",
                where=others[0] if others else self.root,
                found=f"{len(others)} {self.suffix} files of another kind",
                expected=self.title,
                fix="Export it again, or take `format` out of dataset.yaml.",
            )
        )

    def _without_file(
        self,
        images: Iterable[PurePosixPath],
        labels: Mapping[PurePosixPath, tuple[PurePosixPath, LabelFile | None]],
        names: "_Names",
        problems: Problems,
    ) -> Iterator[Record]:
        """Yield the images without a label file of their own in folders where others have one.

        Args:
            images: The images.
            labels: The label file of each image without its suffix; one without content is unreadable.
            names: Gives the records their names.
            problems: Takes the findings.
        """
        for image in images:
            if not self.bare_image_is_empty:
                problems.add("image-without-mask", str(image), "no label file of its name")
                yield Record(names.of(image), self.root / image, (), split_of(image))
                continue
            name = names.of(image)
            path, found = labels.get(image.with_suffix(""), (image, None))
            if found is not None:
                problems.add("mask-shared-by-images", str(path), f"it is of {image} and of another image")
            self.keep(name, found.drawn if found else (), None, where=str(path), file=str(image))
            yield Record(name, self.root / image, (self.root / path,), split_of(image) or split_of(path))


def split_of(path: PurePosixPath) -> str | None:
    """Return the split named by the folders of a file, the nearest folder first."""
    return next((s for part in reversed(path.parts[:-1]) if (s := split_of_folder(part))), None)


class ImagesOfFiles:
    """Find the image of each label file, by the file's name or the stated one, with most folders in common.

    Attributes:
        taken: The images found so far.
    """

    def __init__(self, images: Iterable[PurePosixPath], labels: Iterable[PurePosixPath]) -> None:
        self.taken: set[PurePosixPath] = set()
        self._by_stem = NameIndex((image.stem, image) for image in images)
        self._labels: dict[str, list[PurePosixPath]] = defaultdict(list)
        for label in labels:
            self._labels[label.stem].append(label)

    def claim(
        self, label: PurePosixPath, stated: str, *, holds_image: bool, problems: Problems
    ) -> PurePosixPath | None:
        """Return the image of a label file; None, with a finding, if it has none or another file has it.

        Args:
            label: The label file.
            stated: The image name in the file, or empty.
            holds_image: Whether the file contains the image, used if there is none beside it.
            problems: Takes the findings.
        """
        image = self._find(label, stated)
        if holds_image and (image is None or not self._owns(label, image)):
            image = label
        if image is None:
            found = f"no {stated or f'image {label.stem}'} on disk"
            problems.add("annotation-without-image", str(label), found)
        elif image in self.taken or not self._owns(label, image):
            problems.add("image-in-two-files", str(label), f"{image} has another label file too")
        else:
            self.taken.add(image)
            return image
        return None

    def _find(self, label: PurePosixPath, stated: str) -> PurePosixPath | None:
        name = PurePosixPath(stated.replace("\\", "/"))
        found = self._by_stem.find(label.stem, name.stem)
        return min(
            found,
            key=lambda image: (
                -_shared(label, image),
                image.name != name.name,
                len(image.parts),
                image,
            ),
            default=None,
        )

    def _owns(self, label: PurePosixPath, image: PurePosixPath) -> bool:
        """Tell whether no other label file of that name shares more folders with the image."""
        same = self._labels[label.stem]
        return len(same) < 2 or _shared(label, image) == max(_shared(other, image) for other in same)


def _shared(label: PurePosixPath, image: PurePosixPath) -> int:
    """Return how many folders the paths of a label file and an image have in common."""
    return (Counter(label.parts[:-1]) & Counter(image.parts[:-1])).total()


class _Names:
    """Name images by their paths without suffix; with suffix if another image has that name."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, image: PurePosixPath) -> str:
        name = image.with_suffix("").as_posix()
        name = image.as_posix() if name in self._taken else name
        self._taken.add(name)
        return name
