"""labelme's JSON without shapes: the flag that is set is the class of the whole image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.core.finding import Finding
from limner.core.labels import alphabetical
from limner.core.sample import Record
from limner.formats.classes.image_classes import ImageClasses
from limner.formats.file_tree import FileTree, list_files
from limner.formats.format_codes import format_finding
from limner.formats.problems import Problems
from limner.formats.shapes.annotation_files import ImagesOfFiles, split_of
from limner.formats.split_lists import apply_split_lists, lists_beside
from limner.formats.tools.labelme import EXPECTED, WHAT, Labelme
from limner.storage.json_files import JsonObject, read_json


@dataclass(frozen=True)
class _File:
    """Content of one JSON: the flags that are set, the image name, whether it has shapes or the image."""

    path: PurePosixPath
    flags: tuple[str, ...] = ()
    image_name: str = ""
    has_shapes: bool = False
    holds_image: bool = False


class LabelmeFlags(ImageClasses):
    """Images with one labelme flag each, as set by ``labelme --flags``."""

    name = "labelme-flags"
    title = "a JSON file for each image, without shapes and with one flag set"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; files are read up to the first shape."""
        if settings.images or settings.masks:
            return None
        files = _files_without_shapes(root, list_files(root))
        if not any(file.flags for file in files):
            return None
        return f"{len(files)} JSON files of labelme with flags and no shapes, such as {files[0].path}"

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image with a single flag; classes are numbered alphabetically."""
        tree, problems = list_files(self.root), Problems()
        files = _files_without_shapes(self.root, tree)
        names = {file.flags[0] for file in files if len(file.flags) == 1}
        self.class_names = alphabetical(names)
        records = tuple(sorted(self._records(files, tree, problems), key=lambda record: record.name))
        records, more = apply_split_lists(records, self.root, self.settings, lists_beside(tree, records))
        said = f"The flags are the classes: {', '.join(self.class_names)}."
        layout = format_finding("layout", "the dataset", said)
        return records, (layout, *problems.findings(self.terms), *more)

    def _records(self, files: Sequence[_File], tree: FileTree, problems: Problems) -> Iterator[Record]:
        images = ImagesOfFiles(tree.images, (file.path for file in files))
        number = {name: i for i, name in enumerate(self.class_names)}
        for file in files:
            image = images.claim(file.path, file.image_name, holds_image=file.holds_image, problems=problems)
            if image is None:
                continue
            if len(file.flags) != 1:
                found = f"the flags {', '.join(file.flags)} are set" if file.flags else "no flag is set"
                problems.add("flags-unclear", str(file.path), found)
            else:
                split, label = split_of(image) or split_of(file.path), number[file.flags[0]]
                labels = (self.root / file.path,)
                yield Record(image.as_posix(), self.root / image, labels, split, label=label)


def _files_without_shapes(root: Path, tree: FileTree) -> list[_File]:
    """Return the content of labelme's files; nothing if one has a shape, since they then label objects."""
    if "labelme-flags" not in tree.remembered:
        files: list[_File] = []
        for path in Labelme.label_files(root, tree):
            files.append(_read(root, path))
            if files[-1].has_shapes:
                files = []
                break
        tree.remembered["labelme-flags"] = files
    found: list[_File] = tree.remembered["labelme-flags"]
    return found


def _read(root: Path, path: PurePosixPath) -> _File:
    """Read one file; a damaged one has no flags, which is reported."""
    try:
        content = JsonObject(read_json(root / path, what=WHAT, expected=EXPECTED))
    except DataError:
        return _File(path)
    return _File(
        path,
        content.child("flags").set_names,
        content.text("imagePath"),
        has_shapes=content.is_set("shapes"),
        holds_image=content.is_set("imageData"),
    )
