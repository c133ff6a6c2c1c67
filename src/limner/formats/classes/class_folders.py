"""One folder per class: ``ants/1.jpg``, or ``train/ants/1.jpg`` with splits."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.finding import Finding
from limner.core.labels import alphabetical
from limner.core.sample import Record
from limner.formats.classes.image_classes import ImageClasses
from limner.formats.file_tree import FileTree, list_files
from limner.formats.folder_words import read_folder_name
from limner.formats.format_codes import format_finding
from limner.formats.pairs.pairing_findings import tree_findings
from limner.formats.split_lists import apply_split_lists, lists_beside

MIN_PER_CLASS = 2.0
"""Minimum mean number of images per class: folders of one image each are patients or scenes."""

MOST_SHOWN = 8
"""Maximum number of classes in a sentence."""


@dataclass(frozen=True)
class Place:
    """An image and its folders that name neither a role nor a split, the outermost first."""

    path: PurePosixPath
    own: tuple[str, ...]
    split: str | None
    depth: int = 0
    """Number of folders in `own` that all images share, such as the dataset's own name."""

    @property
    def name(self) -> str:
        """The class."""
        return self.own[self.depth]


class ClassFolders(ImageClasses):
    """Images in folders named after their classes."""

    name = "class-folders"
    title = "one folder for each class, with or without train/ and val/ around them: train/ants/1.jpg"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None."""
        if settings.images or settings.masks:
            return None
        places = class_places(list_files(root), as_told=settings.format == cls.name)
        names = {place.name for place in places}
        return f"{len(places)} images in folders of {len(names)} classes" if names else None

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image; classes are numbered alphabetically, or by their numbers."""
        tree = list_files(self.root)
        places = class_places(tree, as_told=self.settings.format == self.name)
        counts = Counter(place.name for place in places)
        self.class_names = alphabetical(counts)
        number = {name: i for i, name in enumerate(self.class_names)}
        records = tuple(
            Record(
                place.path.as_posix(),
                self.root / place.path,
                (self.root / place.path.parent,),
                place.split,
                label=number[place.name],
            )
            for place in sorted(places, key=lambda place: place.path)
        )
        records, findings = apply_split_lists(records, self.root, self.settings, lists_beside(tree, records))
        shown = _few([f"{name} ({counts[name]})" for name in self.class_names])
        said = f"The folders are the classes: {shown}."
        return records, (
            format_finding("layout", "the dataset", said),
            *tree_findings(tree),
            *findings,
            *self._renamed_numbers(),
        )

    def _renamed_numbers(self) -> Iterator[Finding]:
        """Say which name each folder gets if dataset.yaml renames numbered folders by their position."""
        folders, before = self.class_names, sorted(self.class_names, key=str.casefold)
        table = self.settings.label_table()
        known = {name for one in self.settings.classes for name in one.label_names}
        if table is None or list(folders) == before or known & {*folders}:
            return
        new = {value: one.name for one in table.classes for value in one.values}
        pairs = [f"{folder} is {new[i]!r}" for i, folder in enumerate(folders) if i in new]
        said = f"dataset.yaml renames the folders in numeric order: {_few(pairs)}."
        yield format_finding(
            "class-order",
            "dataset.yaml",
            f"{said} Earlier versions of limner ordered them as text: {_few(before)}.",
            expected="each class with its folder, so that no order matters",
            fix=f"Write `{{name: {new.get(0, folders[0])}, names: ['{folders[0]}']}}` for each class.",
        )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (", ..." if len(names) > MOST_SHOWN else "")


def class_places(tree: FileTree, *, as_told: bool = False) -> list[Place]:
    """Return the class of each image; nothing if a folder has another role or names no class.

    Args:
        tree: The files.
        as_told: Whether dataset.yaml says that folders are classes, whatever they and their number look like;
            those of splits are none.
    """
    places: list[Place] = []
    for folder, paths in tree.images_in.items():
        own, split = [], None
        for part in folder.parts:
            said = read_folder_name(part)
            if said.role not in (None, "image") and not as_told:
                return []
            split = split or said.split
            if said.split is None and (as_told or (said.role is None and said.words)):
                own.append(part)
        if not own:
            return []
        places += [Place(path, tuple(own), split) for path in paths]
    depth = _depth([place.own for place in places])
    places = [replace(place, depth=depth) for place in places]
    names = {place.name for place in places}
    return places if as_told or 2 <= len(names) <= len(places) / MIN_PER_CLASS else []


def _depth(owns: Sequence[tuple[str, ...]]) -> int:
    """Return how many outer folders all images share, leaving at least one for the class."""
    shared = 0
    while owns and all(len(own) > shared + 1 and own[shared] == owns[0][shared] for own in owns):
        shared += 1
    return shared
