"""labelme's JSON without a shape: the flag that is set says what the whole image shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import DataError
from limner.core.finding import Finding, Severity
from limner.core.sample import Record
from limner.formats.annotation_files import StemFinder, split_of
from limner.formats.file_tree import FileTree, list_files
from limner.formats.image_classes import ImageClasses
from limner.formats.json_files import parse
from limner.formats.labelme import EXPECTED, LOOKED_AT, WHAT, Labelme
from limner.formats.problems import Problems
from limner.formats.split_lists import apply_split_lists, lists_beside


@dataclass(frozen=True)
class _File:
    """What one JSON says: its flags that are set, its image, whether it has shapes or holds the image."""

    path: PurePosixPath
    flags: tuple[str, ...] = ()
    image_name: str = ""
    has_shapes: bool = False
    holds_image: bool = False


class LabelmeFlags(ImageClasses):
    """Images with one of labelme's flags each, as ``labelme --flags`` sets them."""

    name = "labelme-flags"
    title = "labelme: a JSON file for each image, without shapes and with one flag set"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        """Return the evidence that `root` has this layout, or None; the first files are read."""
        if settings.images or settings.masks:
            return None
        paths = Labelme.label_files(root, list_files(root))
        first = [_read(root, path) for path in paths[:LOOKED_AT]]
        if any(file.has_shapes for file in first) or not any(file.flags for file in first):
            return None
        return f"{len(paths)} JSON files of labelme with flags and no shapes, such as {paths[0]}"

    def index(self) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
        """List one record for each image with a single flag; classes are numbered by their names."""
        tree, problems = list_files(self.root), Problems()
        files = [_read(self.root, path) for path in Labelme.label_files(self.root, tree)]
        names = {file.flags[0] for file in files if len(file.flags) == 1}
        self.class_names = tuple(sorted(names, key=lambda name: (name.casefold(), name)))
        by_name = {record.name: record for record in self._records(files, tree, problems)}
        records = tuple(by_name[name] for name in sorted(by_name))
        records, more = apply_split_lists(records, self.root, self.settings, lists_beside(tree, records))
        said = f"The flags are the classes: {', '.join(self.class_names)}."
        layout = Finding("layout", Severity.NOTE, "the dataset", said)
        return records, (layout, *problems.findings(), *more)

    def _records(self, files: Sequence[_File], tree: FileTree, problems: Problems) -> Iterator[Record]:
        finder, number = StemFinder(tree.images), {name: i for i, name in enumerate(self.class_names)}
        for file in files:
            image = finder.find(file.path, file.image_name) or (file.path if file.holds_image else None)
            if image is None:
                found = f"no {file.image_name or f'image {file.path.stem}'} on disk"
                problems.add("annotation-without-image", str(file.path), found)
            elif len(file.flags) != 1:
                found = f"the flags {', '.join(file.flags)} are set" if file.flags else "no flag is set"
                problems.add("flags-unclear", str(file.path), found)
            else:
                split, label = split_of(image) or split_of(file.path), number[file.flags[0]]
                labels = (self.root / file.path,)
                yield Record(image.as_posix(), self.root / image, labels, split, label=label)


def _read(root: Path, path: PurePosixPath) -> _File:
    """Read one file; a damaged one has no flag, and is named by the finding that says so."""
    try:
        content = parse(root / path, what=WHAT, expected=EXPECTED)
    except DataError:
        content = None
    if not isinstance(content, dict):
        return _File(path)
    flags = content.get("flags")
    return _File(
        path,
        tuple(str(name) for name, is_set in flags.items() if is_set) if isinstance(flags, dict) else (),
        str(content.get("imagePath") or ""),
        has_shapes=bool(content.get("shapes")),
        holds_image=bool(content.get("imageData")),
    )
