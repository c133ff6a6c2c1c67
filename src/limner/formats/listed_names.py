"""Images that the lines of a list file name: with or without folders, suffix and further columns."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from limner.core.sample import Record
from limner.formats.folder_words import vocabulary
from limner.images.file_names import without_suffix

LIST_SUFFIXES = frozenset({".txt", ".lst", ".csv", ".tsv"})

_LINES_TRIED = 20
"""Number of lines by which the column of the images is found."""

_HEADINGS = vocabulary(
    """
    image images imageid imagename imagepath imagefile img imgid imgname imgpath file files filename filenames
    filepath name names path paths id ids stem mask masks maskname maskpath label labels split set subset fold
    """
)


class ImageNames:
    """Every spelling of the names of a dataset's images, to look up what a list names.

    Args:
        images: Each image's name, and its file relative to the dataset folder.
    """

    def __init__(self, images: Iterable[tuple[str, PurePosixPath]]) -> None:
        self._names: dict[str, list[str]] = {}
        for name, path in images:
            bare = without_suffix(path)
            ways = {name, path.as_posix(), bare.as_posix(), path.name, bare.name}
            for way in ways:
                self._names.setdefault(way, []).append(name)

    @classmethod
    def of_records(cls, records: Iterable[Record], root: Path) -> "ImageNames":
        """Return the names of the images of a dataset in the folder `root`."""
        return cls((r.name, PurePosixPath(r.image.relative_to(root).as_posix())) for r in records)

    def below(self, folder: PurePosixPath) -> list[str]:
        """Return the names of the images in a folder, sorted."""
        prefix = folder.as_posix().rstrip("/") + "/"
        return sorted({n[0] for way, n in self._names.items() if way.startswith(prefix) and len(n) == 1})

    def on(self, lines: Sequence[str]) -> list[tuple[str, str | None]]:
        """Return each line and the image on it, or None; without blank lines, comments and a heading.

        The image is the whole line, or its first column, or the one column in which most lines name images.
        """
        written = [text for line in lines if (text := line.strip()) and not text.startswith("#")]
        columns = self._columns(written[:_LINES_TRIED])
        found = [(line, self._first_of(line, columns)) for line in written]
        has_heading = len(found) > 1 and found[0][1] is None and _is_heading(found[0][0])
        return found[1:] if has_heading and any(name for _, name in found) else found

    def _columns(self, lines: Sequence[str]) -> tuple[int, ...]:
        """Return the positions in `_cells` that hold the image, the most reliable first."""
        most = max((len(_cells(line)) for line in lines), default=0)
        ways: list[tuple[int, ...]] = [(0, 1), *((column,) for column in range(2, most))]
        return max(ways, key=lambda way: sum(self._first_of(line, way) is not None for line in lines))

    def _first_of(self, line: str, columns: Sequence[int]) -> str | None:
        cells = _cells(line)
        return next((name for c in columns if c < len(cells) and (name := self._find(cells[c]))), None)

    def _find(self, text: str) -> str | None:
        """Return the one image that a path ends like, since lists often hold folders of another machine."""
        parts = PurePosixPath(text.replace("\\", "/").removeprefix("./")).parts
        for start in range(len(parts)):
            end = PurePosixPath(*parts[start:])
            for way in (end, without_suffix(end)) if end.name else ():
                names = self._names.get(way.as_posix(), ())
                if len(names) == 1:
                    return names[0]
        return None


def _cells(line: str) -> list[str]:
    """Return the whole line, then its columns."""
    separated = re.split(r"[,;\t]", line) if re.search(r"[,;\t]", line) else line.split()
    return [line, *(cell.strip().strip("\"'") for cell in separated)]


def _is_heading(line: str) -> bool:
    """Tell whether a first line names columns."""
    return any(re.sub(r"[\W_]+", "", cell.casefold()) in _HEADINGS for cell in _cells(line))
