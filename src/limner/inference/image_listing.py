"""The images of what users name: files, folders, globs, lists, archives, tables and addresses."""

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from limner.core.errors import DataError, LimnerError, describe
from limner.formats import open_source
from limner.formats.archives.tar_samples import tar_samples
from limner.formats.file_tree import list_files, listed_once
from limner.formats.listed_names import LIST_SUFFIXES, ImageNames
from limner.formats.split_lists import dataset_of_list
from limner.images.file_names import IMAGE_SUFFIXES, is_image_name
from limner.images.volumes.dicom import dicom_files, series_folders
from limner.inference.output_names import Listed
from limner.storage.containers import TABLE, TAR
from limner.storage.remote_files import is_remote, list_remote
from limner.storage.remote_requests import address_of
from limner.storage.table_rows import image_table
from limner.storage.tar_members import DAMAGE, tar_members
from limner.storage.text_files import lines_of, readable_text
from limner.storage.unfinished import UNFINISHED, refuse_unfinished, unfinished
from limner.storage.user_paths import user_path

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
"""Numbers of files, as in ``train-{000..099}.tar``."""


def listed_images(named: str | Path) -> Iterator[Listed]:
    """Yield the images of one path that a user named.

    Args:
        named: A file; a folder, which is searched with its subfolders, without hidden files and without the
            label files of a labelled dataset; a glob; a list; a tar archive or several (``{000..099}``); a
            table of Parquet; or an address of one of these, or of a folder that ends with ``/``.

    Raises:
        DataError: A folder, glob, list, archive or table contains no image, or cannot be read.
        MissingPartError: A library for the table or the address is not installed.
    """
    address = address_of(str(named))
    if address is not None and is_remote(Path(named)):
        yield from _at_address(address)
        return
    path = user_path(named)
    if path.is_dir():
        yield from _or_refused(_in_folder(path), path, f"a folder without images{_other_files(path)}")
    elif path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        yield from _or_refused(_on_list(path), path, "an empty list")
    elif not path.exists() and _BRACES.search(path.name):
        for one in _numbered(path):
            yield from _of_file(one)
    elif not path.exists() and glob.has_magic(str(path)):
        yield from _or_refused(_matching(path), path, "no file matches")
    else:
        yield from _of_file(path)


def searched_folder(named: Path) -> Path | None:
    """Return the folder that a path of the user searches with its subfolders, or None."""
    if named.is_dir():
        return named
    parts = named.parts
    if named.exists() or "**" not in parts:
        return None
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:first])


def _of_file(path: Path) -> Iterator[Listed]:
    """Yield the images of an archive or a table, or the file itself, which may be missing."""
    suffix = path.suffix.lower()
    if suffix == TAR:
        yield from _in_archive(path)
    elif suffix == TABLE:
        for member in image_table(path).members():
            name = member.rpartition("/")[2]
            yield _as_path(member), name
    else:
        yield str(path), path.name


def _in_archive(path: Path) -> Iterator[Listed]:
    """Yield the images in a tar archive; its damage is reported when the images are read."""
    members = tar_members(path)
    count = 0
    for sample in tar_samples(members):
        if sample.image is not None:
            yield f"{path}/{sample.image}", sample.image
            count += 1
    if members.damage:
        yield f"{path}/{DAMAGE}", DAMAGE
    elif not count:
        raise _nothing(path, "an archive without images")


def _in_folder(folder: Path) -> Iterator[Listed]:
    refuse_unfinished(folder)
    with listed_once():
        images = _without_labels([*_images_in(folder), *series_folders(folder)], folder)
        others = [] if images else list_files(folder).others
    for path in images:
        yield str(path), _place_in(folder, path)
    for relative in others:
        if relative.suffix.lower() in (TAR, TABLE):
            place = relative.with_suffix("").as_posix()
            yield from ((image, f"{place}/{name}") for image, name in _of_file(folder / relative))


def _place_in(folder: Path, path: Path) -> str:
    """Return a path relative to a folder; of the folder itself, if it is a DICOM series, its name."""
    relative = path.relative_to(folder)
    return relative.as_posix() if relative.name else folder.resolve().name


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
    if not images:
        return []
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


def _on_list(path: Path) -> Iterator[Listed]:
    """Yield the images in a list: relative to it, else as the lists of a dataset's splits name them."""
    text = readable_text(path, what="The list of images")
    if any("://" in line or os.path.exists(_beside(path, line)) for line in _entries(text)):  # noqa: PTH110
        for line in _entries(text):
            yield from _of_file(Path(_beside(path, line)))
        return
    root = dataset_of_list(path)
    images = _images_by_name(root)
    found = ImageNames((name, image) for name, image in images.items()).on([*_entries(text)])
    for line, name in found:
        image = root / images[name] if name else path.parent / line
        yield str(image), image.name


def _entries(text: str) -> Iterator[str]:
    """Yield the lines of a list without comments; there may be millions, which are not held."""
    return (line for each in lines_of(text) if (line := each.strip()) and not line.startswith("#"))


def _beside(path: Path, line: str) -> str:
    """Return the path of a line: of another user's home, an address, or relative to the list."""
    if line.startswith("~") or "\0" in line:  # which `user_path` refuses
        return str(path.parent / user_path(line))
    return _as_path(line) if "://" in line else os.path.join(path.parent, line)  # noqa: PTH118 - millions


def _as_path(text: str) -> str:
    """Return a path, or an address as a path."""
    return str(Path(text)) if "://" in text else text


def _images_by_name(root: Path) -> dict[str, PurePosixPath]:
    """Return the images of a dataset, relative to it, by the names of its format."""
    try:
        records = open_source(root).records
    except LimnerError:
        return {image.as_posix(): image for image in list_files(root).images}
    return {record.name: PurePosixPath(record.image.relative_to(root).as_posix()) for record in records}


def _numbered(path: Path) -> Iterator[Path]:
    """Yield the files of a path with numbers in braces."""
    found = _BRACES.search(path.name)
    if found is None:
        yield path
        return
    first, last = found.groups()
    for number in range(int(first), int(last) + 1):
        name = f"{path.name[: found.start()]}{number:0{len(first)}d}{path.name[found.end() :]}"
        yield from _numbered(path.with_name(name))


def _matching(path: Path) -> Iterator[Listed]:
    matches = sorted(Path(m) for m in glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute
    for match in matches:
        if match.is_file():
            yield from _of_file(match)


def _at_address(address: str) -> Iterator[Listed]:
    """Yield the images at an address: a file or an archive, those that a glob matches, or those below it."""
    is_folder = address.endswith("/")
    found = list_remote(address)
    if is_folder and any(one.rpartition("/")[2] == UNFINISHED for one in found):
        raise unfinished(address, "predict")
    if is_folder:
        found = [one for one in found if is_image_name(one) or one.lower().endswith(TAR)]
    if not found:
        raise _nothing(address, "no image or archive there")
    for one in found:
        path = Path(one)
        if one.lower().endswith(TAR):
            yield from _in_archive(path)
        elif one.lower().endswith(TABLE):
            raise _nothing(one, "a table at an address, which is not read from there; copy it to a disk")
        else:
            yield str(path), one.removeprefix(address) if is_folder else path.name


def _or_refused(images: Iterator[Listed], named: Path, found: str) -> Iterator[Listed]:
    """Yield the images; if there is none, raise the error that says what was found instead."""
    first = next(images, None)
    if first is None:
        raise _nothing(named, found)
    yield first
    yield from images


def _nothing(named: Path | str, found: str) -> DataError:
    return DataError(
        describe(
            "There is nothing to predict",
            where=named,
            found=found,
            expected=f"images ({', '.join(sorted(IMAGE_SUFFIXES))})",
            fix="Pass images, or a folder with images.",
        )
    )
