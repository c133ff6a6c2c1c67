"""Findings of annotations, collected by kind; `KINDS` is the table of their severities and fixes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from limner.core.finding import MOST_FILES, Finding, Severity

Report = Callable[[str, str], None]
"""Takes a code and what was found; the place is known to it."""


Case = tuple[str, str, str, int]
"""Code, where, found, and how often."""


@dataclass
class _Cases:
    """How often one kind was met, what the first one was, and in which files (keys, each once)."""

    count: int = 0
    found: str = ""
    where: str = ""
    files: dict[str, None] = field(default_factory=dict)


class Problems:
    """Collects what is wrong, so that a thousand annotations of one kind make one finding."""

    def __init__(self) -> None:
        self._cases: dict[str, _Cases] = {}

    def add(self, code: str, where: str, found: str, *, file: str = "") -> None:
        """Note one thing.

        Args:
            code: One of `KINDS`.
            where: File and annotation.
            found: What is there.
            file: The image or label file, by which pictures of it are found; else `where` stands for it.
        """
        assert code in KINDS, code
        cases = self._cases.setdefault(code, _Cases(0, found, where))
        cases.count += 1
        cases.files[file or where] = None

    def at(self, where: str, *, file: str = "") -> Report:
        """Return what notes things at one place."""
        return lambda code, found: self.add(code, where, found, file=file)

    def take(self, others: "Problems") -> None:
        """Note what `others` holds too."""
        for code, cases in others._cases.items():
            mine = self._cases.setdefault(code, _Cases(0, cases.found, cases.where))
            mine.count += cases.count
            mine.files |= cases.files

    def cases(self) -> tuple[Case, ...]:
        """Return code, where and found of the first, and how many, of each kind."""
        return tuple((code, c.where, c.found, c.count) for code, c in self._cases.items())

    def add_cases(self, cases: Iterable[Case], *, file: str) -> None:
        """Note what `cases` gave, all of one file."""
        for code, where, found, count in cases:
            mine = self._cases.setdefault(code, _Cases(0, found, where))
            mine.count += count
            mine.files[file] = None

    def findings(self) -> tuple[Finding, ...]:
        """Return one finding a code, the first case in words and the others by name."""
        return tuple(_finding(code, cases) for code, cases in self._cases.items())


def _finding(code: str, cases: _Cases) -> Finding:
    severity, expected, fix = KINDS[code]
    more = f"; {cases.count - 1} more like it" if cases.count > 1 else ""
    return Finding(
        code,
        severity,
        cases.where,
        cases.found + more,
        expected,
        fix,
        files=tuple(islice(cases.files, MOST_FILES)),
        count=len(cases.files),
        cases=cases.count,
    )


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_EXPORT = "Correct it in the tool that drew it and export again."
KINDS: dict[str, tuple[Severity, str, str]] = {
    "category-unknown": (
        _E,
        "an id that `categories` lists",
        "Add the category to the JSON, or remove the annotation.",
    ),
    "category-listed-twice": (_E, "each id and each name once", "Rename or remove one of the two."),
    "image-listed-twice": (_E, "each image id once", "Number the images anew when joining JSON files."),
    "image-missing": (_W, "each listed image on disk", "Put the file there, or remove it from the JSON."),
    "image-not-listed": (_N, "an entry under `images`", "Left out; list it if it shows no object at all."),
    "folder-not-listed": (
        _N,
        "a folder of images of which some are listed",
        "Left out. If it is another dataset, name it instead: `limner check FOLDER`; else list its images.",
    ),
    "image-in-two-files": (_W, "each image in one JSON file", "Remove it from one of them."),
    "annotation-image-unknown": (_W, "an id that `images` lists", "Left out. " + _EXPORT),
    "annotation-listed-twice": (_W, "each annotation id once", "Both are taken: look whether one is a copy."),
    "annotation-malformed": (_W, "`image_id`, `category_id` and `segmentation`", "Left out. " + _EXPORT),
    "flags-unclear": (_W, "one flag that is set", "Left out. Set the one flag that matters in labelme."),
    "annotation-without-mask": (_W, "a polygon or an RLE", "Left out; a box alone draws no mask."),
    "boxes-only": (
        _N,
        "polygons or masks, where masks are to be trained",
        "Nothing need be done to look at boxes or to convert them; to train masks, export them with masks.",
    ),
    "box-zero-size": (_W, "a box with a width and a height", "Left out. Remove the box, or draw it anew."),
    "box-outside-image": (_W, "a box inside the image", "It is cut at the border. " + _EXPORT),
    "polygon-crosses-itself": (
        _W,
        "an outline that does not cross itself",
        "It is filled as it is, with gaps where it overlaps itself. " + _EXPORT,
    ),
    "box-and-mask-disagree": (
        _W,
        "a box within 2 pixels of its mask",
        "The mask is trained on; for boxes the stated box is taken. Draw one of them anew.",
    ),
    "annotation-repeated": (_W, "each object drawn once", "Both are taken: remove the copy."),
    "objects-overlap": (
        _N,
        "each pixel in one object",
        "Nothing need be done for a few pixels: in label maps the smaller object has them, and else both. "
        "Where it is more, look whether an object is drawn twice.",
    ),
    "crowd": (
        _N,
        "single objects",
        "Nothing need be done: a crowd is not trained on, and what is found inside one is not counted wrong.",
    ),
    "image-without-mask": (_W, "a label file of its name", "Left out; label it, or move it away."),
    "annotation-without-image": (_W, "an image of the same name", "Add the image, or remove the file."),
    "size-not-stated": (_W, "width and height", "Taken from the image instead. " + _EXPORT),
    "value-outside-0-1": (_W, "parts of width and height, 0 to 1", "It is cut at the border. " + _EXPORT),
    "class-beyond-names": (_E, "a number that `names` lists", "Add its name, or correct the number."),
    "names-unreadable": (
        _W,
        "`names` as a list, or as a mapping from numbers to names",
        "The classes are called by their numbers instead. Correct the file, or export it again.",
    ),
    "class-not-named": (_W, "a name under `classes` in dataset.yaml", "Left out; name it to train it."),
    "shape-unknown": (_W, "a polygon, box, circle, line, point or mask", "Left out. " + _EXPORT),
    "drawn-by-width": (
        _N,
        "shapes with an area",
        "Lines are taken as 10 pixels wide and points as 11 across, as labelme does; polygons say more.",
    ),
    "several-labels": (
        _W,
        "one label a region",
        "The first label is used. Allow one label a region in the tool, or draw the region once for each.",
    ),
    "not-exhaustive": (
        _N,
        "all objects of all classes drawn",
        "What is not drawn counts as background; keep that in mind when reading scores.",
    ),
    "segment-not-in-png": (_W, "each listed segment in the PNG", "Nothing is trained on it. " + _EXPORT),
    "polygon-too-short": (_W, "3 points or more", "The polygon is left out. " + _EXPORT),
    "polygon-outside-image": (_W, "points inside the image", "It is cut at the border. " + _EXPORT),
    "annotation-empty": (_W, "an area of a pixel or more", "Left out. " + _EXPORT),
    "rle-wrong-length": (_W, "runs that add up to height x width", "Left out. " + _EXPORT),
    "text-ignored": (_N, "", "Nothing need be done: no loss and no score looks at these words."),
    "ids-are-text": (_N, "numbers", "Nothing need be done: text is compared as the number that it spells."),
    "other-annotations-not-used": (
        _N,
        "one set of annotations",
        "Nothing need be done if it draws the same objects; to use it, move it away from the others.",
    ),
}
"""Code -> severity, what was expected, how to fix it."""
