"""Unique names for the outputs of images, also of millions of them: only a few bytes of each are held."""

import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from limner.images.file_names import image_stem
from limner.storage.spooled_rows import SpooledRows

Listed = tuple[str, str]
"""The path of an image, and the path that its outputs would best have, with its suffix."""


def named_outputs(images: Iterable[Listed]) -> Iterator[Listed]:
    """Yield path and output name of each image, without duplicates, in order.

    An output name is short if that is unique, else it has folders, and at last the suffix too. It has ``/``
    between folders and no other suffix.
    """
    rows, paths, wishes = SpooledRows(), array("q"), array("q")
    above = _CommonFolder()
    for path, relative in images:
        absolute = os.path.abspath(path)  # noqa: PTH100 - links are kept apart
        above.add(absolute)
        paths.append(hash(absolute))
        wish = _bare(relative)
        wishes.append(hash(wish))
        rows.append((path, wish))
    is_first = _is_first(paths)
    del paths
    needs_folders = len(_repeated(np.asarray(wishes)[is_first])) > 0
    del wishes

    def chosen() -> Iterator[Listed]:
        for (path, wish), first in zip(rows, is_first, strict=True):
            if first:
                yield path, _bare(above.below(path)) if needs_folders else wish

    # Some file systems ignore case.
    folded = np.fromiter((hash(wish.casefold()) for _, wish in chosen()), np.int64, int(is_first.sum()))
    repeated = set(_repeated(folded).tolist())
    del folded
    for path, wish in chosen():
        is_unique = not repeated or hash(wish.casefold()) not in repeated
        yield path, wish if is_unique else f"{wish}_{Path(path).name.replace('.', '_')}"


class _CommonFolder:
    """The folder above all images, as far as they have one."""

    def __init__(self) -> None:
        self._above: str | None = None
        self._last = ""

    def add(self, path: str) -> None:
        folder = os.path.dirname(path)  # noqa: PTH120 - for a million paths
        if folder == self._last or self._above == "":
            return
        self._last = folder
        try:
            self._above = folder if self._above is None else os.path.commonpath([self._above, folder])
        except ValueError:  # other drives
            self._above = ""

    def below(self, path: str) -> str:
        absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links are kept apart
        return (absolute.relative_to(self._above) if self._above else Path(*absolute.parts[1:])).as_posix()


def _bare(relative: str) -> str:
    if ".." in relative or relative.startswith("/"):
        # The name of an archive's member or of a server: no output is written elsewhere.
        relative = "/".join(part for part in relative.split("/") if part not in ("", ".", ".."))
    folder, slash, name = relative.rpartition("/")
    return f"{folder}{slash}{image_stem(name)}"


def _is_first(values: "array[int]") -> npt.NDArray[np.bool_]:
    """Return (N,) True for each value that is not among those before it."""
    is_first = np.zeros(len(values), bool)
    is_first[np.unique(np.asarray(values), return_index=True)[1]] = True
    return is_first


def _repeated(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the values that are there several times; sorts them in place, which takes no memory."""
    values.sort()
    return np.asarray(values[1:][values[1:] == values[:-1]])
