"""Expand what users name to images with output names."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from limner.core.errors import DataError
from limner.inference.image_listing import listed_images
from limner.inference.output_names import named_outputs


@dataclass(frozen=True)
class ImagePath:
    """One image to predict.

    Attributes:
        path: The file, which may be missing or unreadable; also a member of an archive, a row of a table or
            an address, see `limner.storage.file_contents`.
        output: Unique path of its outputs, relative to an output folder, with ``/`` and without suffix.
    """

    path: Path
    output: str


def list_images(paths: Iterable[str | Path]) -> tuple[ImagePath, ...]:
    """Return the images of the given paths, without duplicates, in order.

    Args:
        paths: As in `limner.inference.image_listing.listed_images`. Missing files are returned too, to be
            reported with the others.

    Raises:
        DataError: There are no paths, or one of them contains no image, or cannot be read.
        MissingPartError: A library for a table or an address is not installed.
    """
    return tuple(ImagePath(Path(path), output) for path, output in image_rows(paths))


def image_rows(paths: Iterable[str | Path]) -> Iterator[tuple[str, str]]:
    """Yield path and output name of what `list_images` returns, for any number of images.

    Raises:
        DataError: As in `list_images`.
    """
    rows = named_outputs(chain.from_iterable(map(listed_images, paths)))
    first = next(rows, None)
    if first is None:
        raise DataError("There is nothing to predict: no images were specified.")
    yield first
    yield from rows
