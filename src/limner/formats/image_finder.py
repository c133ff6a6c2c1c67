"""Find on disk the images that label files list."""

from collections.abc import Iterable, Iterator, Sequence
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

    def all(self) -> Iterator[PurePosixPath]:
        """Return all paths, grouped by name."""
        return self._by_name.files()

    def find(self, file_name: str, *, near: Iterable[str] = ()) -> PurePosixPath | None:
        """Return the file whose path ends with `file_name`, or has its bare name; None if there is none.

        Args:
            file_name: The name in the JSON, which may be percent-encoded.
            near: Preferred folder names and words, such as the split, the most important first.
        """
        plain = unquote(file_name)
        same = self._by_name.find(file_name.rpartition("/")[2], plain.rpartition("/")[2])
        if len(same) == 1:
            return same[0]
        found = _with_folders(file_name, same) or _with_folders(plain, same) or same
        words = [word.casefold() for word in near]

        def rank(path: PurePosixPath) -> tuple[bool, ...]:
            folders = [part.casefold() for part in path.parts[:-1]]
            exact = (word not in folders for word in words)
            loose = (not any(word in folder for folder in folders) for word in words)
            return (*exact, *loose)

        return min(found, key=lambda path: (rank(path), len(path.parts), path), default=None)


def _with_folders(name: str, paths: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """Return the paths that end with a name and its folders."""
    parts = [part for part in PurePosixPath(name).parts if part not in (".", "..", "/")]
    return [path for path in paths if list(path.parts[-len(parts) :]) == parts]
