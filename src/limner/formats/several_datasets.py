"""Several datasets in one folder, of which only one would be read: the user is asked to name one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from limner.core.dataset_file import DatasetFile
from limner.core.errors import LimnerError
from limner.core.finding import Finding, Severity
from limner.formats.classes.image_classes import ImageClasses
from limner.formats.dataset_yaml import read_dataset_file
from limner.formats.file_tree import FileTree
from limner.formats.folder_words import read_folder_name
from limner.formats.format_codes import format_finding
from limner.formats.source import Source

MOST_TRIED = 20
"""Maximum number of folders that are looked at."""

LEAST_BESIDE = 2
"""Minimum number of image files that make another dataset in the same folders."""

MIN_SHARE = 0.1
"""Fewer images than this fraction of those that are read are leftovers, and a warning is enough."""


def several_datasets(
    source: Source, tree: FileTree, settings: DatasetFile, formats: Sequence[type[Source]]
) -> tuple[Finding, ...]:
    """Return a finding if folders or images that are left out are datasets of their own.

    Args:
        source: The opened dataset.
        tree: Its files.
        settings: Its `dataset.yaml`; if that says what to read, there is nothing to ask.
        formats: The formats that may recognise a folder.
    """
    if settings.format or settings.images or settings.masks or source.other_folders_are_known:
        return ()
    in_folder = _images_in_folders(tree)
    used = _used(source)
    read = {folder: sum(path in used for path in paths) for folder, paths in in_folder.items()}
    if isinstance(source, ImageClasses):  # any folder of images could be a class: what is in it says more
        drawings = [one for one in formats if not issubclass(one, ImageClasses)]
        others = dict(_recognised(source.root, [*in_folder], drawings))
        fate = "are read as images of classes named after the folders"
    else:
        fate = "are left out"
        left = [folder for folder, paths in in_folder.items() if 2 * read[folder] < len(paths)]
        others = dict(_recognised(source.root, left, formats)) if used else {}
    if not others:
        return tuple(_labelled_otherwise(source, tree, settings, formats, used))
    number = sum(len(in_folder[folder]) for folder in others)
    drawn = any(not issubclass(found, ImageClasses) for found in others.values())
    places = [folder for folder, count in read.items() if count and folder not in others]
    first = ", ".join(f"{folder}/" for folder in places) or "the folder itself"
    return (
        format_finding(
            "several-datasets",
            ", ".join(f"{folder}/" for folder in others),
            f"{_listed(others)} {'is a dataset' if len(others) == 1 else 'are datasets'} beside the one that "
            f"is read: {first} ({source.name}). The {number} image files there {fate}.",
            expected="one dataset in the folder",
            fix=f"Name one of them, such as `limner check {source.root / next(iter(others))}`. To read the "
            f"folder as it is, write `format: {source.name}` into its dataset.yaml.",
            files=map(str, others),
            severity=None if drawn and number >= MIN_SHARE * len(used) else Severity.WARNING,
        ),
    )


def _labelled_otherwise(
    source: Source,
    tree: FileTree,
    settings: DatasetFile,
    formats: Sequence[type[Source]],
    used: set[PurePosixPath],
) -> Iterator[Finding]:
    """Yield a finding if other images in the same folders have labels in another format.

    Args:
        source: The opened dataset.
        tree: Its files.
        settings: Its `dataset.yaml`.
        formats: The formats that may recognise a folder.
        used: The images and labels that are read.
    """
    least = max(LEAST_BESIDE, MIN_SHARE * len(used))
    if isinstance(source, ImageClasses) or len({*tree.images} - used) < least:
        return
    others = [one for one in formats if not (isinstance(source, one) or issubclass(one, ImageClasses))]
    for one in others:
        with suppress(LimnerError):
            found = _used(one(source.root, settings)) if one.recognise(source.root, settings) else set()
            images = sorted(found.intersection(tree.images))
            if len(images) >= least and not used & found:
                yield format_finding(
                    "several-datasets",
                    str(images[0]),
                    f"two datasets side by side: {source.name}, which is read, and {len(images)} other image "
                    f"files, such as {images[0]}, that are labelled as {one.name} and left out",
                    expected="one dataset in the folder",
                    fix=f"Move one of them into a folder of its own. To read this one alone, write "
                    f"`format: {source.name}` (or {one.name}) into dataset.yaml.",
                    files=map(str, images),
                )
                return


def datasets_below(root: Path, tree: FileTree, formats: Sequence[type[Source]]) -> str:
    """Return the datasets in the folders of a folder that is none itself, in words; empty without any."""
    return _listed(dict(_recognised(root, [*_images_in_folders(tree)], formats)))


def _images_in_folders(tree: FileTree) -> dict[PurePosixPath, list[PurePosixPath]]:
    """Return folder -> files named like images, of the outermost folders that could be datasets.

    A folder whose name is a role or a split, such as ``masks`` or ``train``, is a part of a dataset.
    """
    depth = _shared_depth(tree.images)
    folders: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in tree.images:
        if len(path.parts) > depth + 1:
            folders.setdefault(PurePosixPath(*path.parts[: depth + 1]), []).append(path)
    names = {folder: read_folder_name(folder.name) for folder in folders}
    return {f: paths for f, paths in folders.items() if not (names[f].role or names[f].split)}


def _shared_depth(paths: Sequence[PurePosixPath]) -> int:
    """Return the number of outer folders in which all files are."""
    if not paths:
        return 0
    first, last = paths[0].parts[:-1], paths[-1].parts[:-1]  # sorted, so these two differ first
    same = [one == other for one, other in zip(first, last, strict=False)]
    return same.index(False) if False in same else len(same)


def _used(source: Source) -> set[PurePosixPath]:
    """Return the files of labelled images, relative to the dataset folder."""
    start = len(str(source.root)) + 1
    # An image that is its own label has none: it shows no object.
    labelled = (r for r in source.records if r.labels and r.labels != r.images)
    files = (str(path)[start:] for record in labelled for path in record.files)
    return {PurePosixPath(file) for file in files}


def _recognised(
    root: Path, folders: Sequence[PurePosixPath], formats: Sequence[type[Source]]
) -> Iterator[tuple[PurePosixPath, type[Source]]]:
    for folder in folders[:MOST_TRIED]:
        try:
            settings = read_dataset_file(root / folder)
            found = next((one for one in formats if one.recognise(root / folder, settings)), None)
        except LimnerError:
            continue
        if found is not None:
            yield folder, found


def _listed(found: Mapping[PurePosixPath, type[Source]]) -> str:
    return ", ".join(f"{folder}/ ({source.name})" for folder, source in found.items())
