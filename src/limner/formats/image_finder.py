"""Find on disk the images that label files list."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import PurePosixPath
from urllib.parse import unquote

from limner.formats.name_index import NameIndex


class ImageFinder:
    """Find listed files on disk: names may be relative to the JSON or the dataset, or without folders."""

    def __init__(self, paths: Iterable[PurePosixPath], *, by_stem: bool = False) -> None:
        """Index the files; with `by_stem`, a name may lack its suffix."""
        self._by_name = NameIndex(
            (name, path) for path in paths for name in ((path.name, path.stem) if by_stem else (path.name,))
        )
        self._claimed: dict[PurePosixPath, int] = {}
        """File -> the most folders that one of the expected names has in common with it, before its name."""

    def all(self) -> Iterator[PurePosixPath]:
        """Return all paths, grouped by name."""
        return self._by_name.files()

    def expect(self, names: Iterable[str]) -> None:
        """Take note of all names that a label file lists, in place of those of another one.

        A file belongs to the name that shares most folders with it. Otherwise the labels of a missing
        ``b/1.png`` would become those of ``a/1.png``.
        """
        self._claimed = {}
        listed: dict[str, set[str]] = defaultdict(set)
        for name in names:
            listed[name.rpartition("/")[2]].add(name)
        for same in listed.values():
            for name in same if len(same) > 1 else ():
                for path in self._same(name):
                    self._claimed[path] = max(self._claimed.get(path, 0), _shared(name, path))

    def find(self, file_name: str, *, near: Iterable[str] = ()) -> PurePosixPath | None:
        """Return the file that shares its name, and most folders before it, with `file_name`; or None.

        Args:
            file_name: The name in the JSON, which may be percent-encoded.
            near: Preferred folder names and words, such as the split, the most important first.
        """
        same = self._same(file_name)
        if len(same) == 1 and not self._claimed:
            return same[0]
        shared = {path: _shared(file_name, path) for path in same}
        whole = len(_folders(file_name))
        own = [path for path in same if shared[path] >= min(whole, self._claimed.get(path, 0))]
        most = max((shared[path] for path in own), default=0)
        words, parents = [word.casefold() for word in near], {*_folders(file_name)}

        def rank(path: PurePosixPath) -> tuple[int, ...]:
            folders = [part.casefold() for part in path.parts[:-1]]
            exact = (word not in folders for word in words)
            loose = (not any(word in folder for folder in folders) for word in words)
            return (*exact, *loose, -len(parents.intersection(folders)), len(path.parts))

        found = (path for path in own if shared[path] == most)
        return min(found, key=lambda path: (rank(path), path), default=None)

    def _same(self, file_name: str) -> list[PurePosixPath]:
        """Return the files of a name without its folders."""
        return self._by_name.find(file_name.rpartition("/")[2], unquote(file_name).rpartition("/")[2])


def _folders(name: str) -> list[str]:
    return [part for part in name.casefold().split("/")[:-1] if part not in ("", ".", "..")]


def _shared(name: str, path: PurePosixPath) -> int:
    """Return how many folders right before the file a listed name has in common with a path."""
    folders = [part.casefold() for part in reversed(path.parts[:-1])]
    return max(_num_equal(reversed(_folders(way)), folders) for way in {name, unquote(name)})


def _num_equal(some: Iterable[str], others: Iterable[str]) -> int:
    """Return how many items from the first on are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False)))
