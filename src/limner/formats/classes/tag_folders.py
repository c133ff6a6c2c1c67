"""One folder per class, with copies of an image in the folder of each of its classes."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.finding import Finding
from limner.core.labels import alphabetical
from limner.core.sample import Record
from limner.formats.classes.class_folders import Place, class_places
from limner.formats.classes.image_classes import ImageClasses
from limner.formats.classes.tag_lists import FEWEST_SEVERAL, MIN_SEVERAL
from limner.formats.file_tree import FileTree, list_files
from limner.formats.format_codes import format_finding
from limner.formats.pairs.pairing_findings import tree_findings
from limner.formats.split_lists import apply_split_lists, lists_beside

Copies = dict[PurePosixPath, list[Place]]
"""The first file of each image -> all its copies."""


class TagFolders(ImageClasses):
    """Images with any number of classes, in the folder of each."""

    name = "tag-folders"
    title = "one folder for each class, with copies of an image in the folders of all its classes"
    tasks = ("multilabel",)

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; reads files of equal name and size."""
        if settings.images or settings.masks:
            return None
        copies = _copies(root, list_files(root))
        several = sum(len(places) > 1 for places in copies.values())
        if several < max(MIN_SEVERAL * len(copies), FEWEST_SEVERAL) or several == len(copies):
            return None
        return f"{several} of {len(copies)} images are in the folders of several classes"

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image, under its first path; classes are numbered alphabetically."""
        tree = list_files(self.root)
        copies = _copies(self.root, tree)
        self.class_names = alphabetical({place.name for places in copies.values() for place in places})
        number = {name: i for i, name in enumerate(self.class_names)}
        records = tuple(
            Record(
                path.as_posix(),
                self.root / path,
                tuple(self.root / place.path.parent for place in places),
                places[0].split,
                tags=tuple(sorted(number[place.name] for place in places)),
            )
            for path, places in sorted(copies.items())
        )
        records, findings = apply_split_lists(records, self.root, self.settings, lists_beside(tree, records))
        said = (
            f"The folders are the classes, and copies of an image are one image with several: "
            f"{len(records)} images in {sum(map(len, copies.values()))} files."
        )
        layout = format_finding("layout", "the dataset", said)
        return records, (layout, *tree_findings(tree), *findings)

    def read_tags(self, record: Record) -> tuple[int, ...]:
        """Return the numbers of the image's classes, from 0."""
        return record.tags or ()


def _copies(root: Path, tree: FileTree) -> Copies:
    """Return the images with their copies: files of one split, name and content in folders of classes."""
    if "tag-folders" not in tree.remembered:
        same_name: dict[tuple[str | None, str], list[Place]] = {}
        for place in sorted(class_places(tree), key=lambda place: place.path):
            same_name.setdefault((place.split, place.path.name), []).append(place)
        tree.remembered["tag-folders"] = {
            places[0].path: places for group in same_name.values() for places in _alike(root, group)
        }
    copies: Copies = tree.remembered["tag-folders"]
    return copies


def _alike(root: Path, places: Sequence[Place]) -> Iterator[list[Place]]:
    """Divide files of one name by their content, which is only read where the sizes agree."""
    by_size: dict[int, list[Place]] = {}
    for place in places if len(places) > 1 else ():
        by_size.setdefault((root / place.path).stat().st_size, []).append(place)
    for group in by_size.values() or [list(places)]:
        by_content: dict[bytes, list[Place]] = {}
        for place in group:
            key = _digest(root / place.path) if len(group) > 1 else b""
            by_content.setdefault(key, []).append(place)
        yield from by_content.values()


def _digest(path: Path) -> bytes:
    return blake2b(path.read_bytes(), digest_size=16).digest()
