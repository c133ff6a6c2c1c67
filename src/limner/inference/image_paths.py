"""Expand the user's files, folders, globs and lists to images with output names."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from limner.core.errors import DataError, LimnerError, describe
from limner.formats import open_source
from limner.formats.file_tree import list_files, listed_once
from limner.formats.listed_names import LIST_SUFFIXES, ImageNames
from limner.formats.split_lists import dataset_of_list
from limner.images.file_names import IMAGE_SUFFIXES, is_image_name, without_suffix
from limner.images.volumes.dicom import dicom_files, series_folders
from limner.storage.text_files import read_lines
from limner.storage.unfinished import refuse_unfinished
from limner.storage.user_paths import user_path


@dataclass(frozen=True)
class ImagePath:
    """One image to predict.

    Attributes:
        path: The file, which may be missing or unreadable.
        output: Unique path of its outputs, relative to an output folder, with ``/`` and without suffix.
    """

    path: Path
    output: str


def list_images(paths: Iterable[str | Path]) -> tuple[ImagePath, ...]:
    """Return the images of the given paths, without duplicates, in order.

    Args:
        paths: Images, folders (searched recursively, without hidden files and without the label files of a
            labelled dataset), globs such as ``scans/*.png``
            (``**`` for subfolders), or lists (``.txt``, ``.lst``, ``.csv``, ``.tsv``) with one image per
            line: relative to the list, or as the lists of a dataset's splits name them. Missing paths
            are returned too, to be reported with the others.

    Raises:
        DataError: A folder, glob or list contains no image, or a list cannot be read.
    """
    found: dict[str, tuple[Path, PurePosixPath]] = {}
    for named in paths:
        for path, relative in _expand(user_path(named)):
            found.setdefault(os.path.abspath(path), (path, relative))  # noqa: PTH100 - links are kept apart
    images = list(found.values())
    return tuple(ImagePath(p, o) for (p, _), o in zip(images, _outputs(images), strict=True))


def searched_folder(named: Path) -> Path | None:
    """Return the folder that a path of the user searches with its subfolders, or None."""
    if named.is_dir():
        return named
    parts = named.parts
    if named.exists() or "**" not in parts:
        return None
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _expand(named: Path) -> list[tuple[Path, PurePosixPath]]:
    """Return (file, preferred output path) of each image of one path given by the user."""
    if named.is_dir():
        refuse_unfinished(named)
        with listed_once():
            images = _without_labels([*_images_in(named), *series_folders(named)], named)
        found = [(path, _place_in(named, path)) for path in images]
        return found or _refuse_empty(named, f"a folder without images{_other_files(named)}")
    if named.suffix.lower() in LIST_SUFFIXES and named.is_file():
        found = [(path, PurePosixPath(path.name)) for path in _listed(named)]
        return found or _refuse_empty(named, "an empty list")
    if not named.exists() and glob.has_magic(str(named)):
        matches = sorted(Path(m) for m in glob.glob(str(named), recursive=True))  # noqa: PTH207 - absolute
        found = [(path, PurePosixPath(path.name)) for path in matches if path.is_file()]
        return found or _refuse_empty(named, "no file matches")
    return [(named, PurePosixPath(named.name))]


def _place_in(folder: Path, path: Path) -> PurePosixPath:
    """Return a path relative to a folder; of the folder itself, if it is a DICOM series, its name."""
    relative = path.relative_to(folder)
    return PurePosixPath(relative.as_posix() if relative.name else folder.resolve().name)


def _images_in(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted."""
    tree = list_files(folder)
    if tree.garbled:  # names that are not text cannot be labels, but their images can be predicted
        return _walked(folder)
    return sorted(folder / image for image in tree.images)


def _walked(folder: Path) -> list[Path]:
    images: list[Path] = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        images += [Path(where, name) for name in files if not name.startswith(".") and is_image_name(name)]
    return sorted(images)


def _without_labels(images: list[Path], folder: Path) -> list[Path]:
    """Leave out the label files of a labelled dataset; of other folders, return all images."""
    try:
        records = open_source(folder).records
    except LimnerError:
        return images
    pictures = {path.resolve() for record in records for path in record.images}
    labels = {path.resolve() for record in records for path in record.files} - pictures
    return [path for path in images if not _is_among(path, labels)] or images


def _is_among(path: Path, labels: set[Path]) -> bool:
    """Tell whether a file, or each file of a DICOM folder, is a label file."""
    return all(file.resolve() in labels for file in dicom_files(path) or (path,))


def _other_files(folder: Path) -> str:
    """Return the names of a few files in a folder without images, for messages."""
    names = sorted(path.name for path in folder.iterdir())[:3]
    return f", with {', '.join(names)} in it" if names else ""


def _listed(path: Path) -> list[Path]:
    """Return the images in a list: relative to it, else as the lists of a dataset's splits name them."""
    lines = [line.strip() for line in read_lines(path, what="The list of images")]
    lines = [line for line in lines if line and not line.startswith("#")]
    beside = [path.parent / user_path(line) for line in lines]
    if any(os.path.exists(image) for image in beside):  # noqa: PTH110 - Path.exists raises for long names
        return beside
    root = dataset_of_list(path)
    images = _images_by_name(root)
    found = ImageNames((name, image) for name, image in images.items()).on(lines)
    return [root / images[name] if name else path.parent / line for line, name in found]


def _images_by_name(root: Path) -> dict[str, PurePosixPath]:
    """Return the images of a dataset, relative to it, by the names of its format."""
    try:
        records = open_source(root).records
    except LimnerError:
        return {image.as_posix(): image for image in list_files(root).images}
    return {record.name: PurePosixPath(record.image.relative_to(root).as_posix()) for record in records}


def _outputs(images: Sequence[tuple[Path, PurePosixPath]]) -> list[str]:
    """Choose unique output names: short if possible, else with folders or the suffix."""
    absolute = [Path(os.path.abspath(path)) for path, _ in images]  # noqa: PTH100 - links are kept apart
    above = os.path.commonpath([p.parent for p in absolute]) if len({p.anchor for p in absolute}) == 1 else ""
    wishes = [without_suffix(relative) for _, relative in images]
    if len(set(wishes)) < len(wishes):
        wishes = [without_suffix(PurePosixPath(_below(path, above))) for path in absolute]
    times = Counter(str(wish).casefold() for wish in wishes)  # some file systems ignore case
    return [
        str(wish) if times[str(wish).casefold()] == 1 else f"{wish}_{path.name.replace('.', '_')}"
        for wish, path in zip(wishes, absolute, strict=True)
    ]


def _below(path: Path, above: str) -> str:
    return (path.relative_to(above) if above else Path(*path.parts[1:])).as_posix()


def _refuse_empty(named: Path, found: str) -> list[tuple[Path, PurePosixPath]]:
    raise DataError(
        describe(
            "There is nothing to predict",
            where=named,
            found=found,
            expected=f"images ({', '.join(sorted(IMAGE_SUFFIXES))})",
            fix="Pass images, or a folder with images.",
        )
    )
