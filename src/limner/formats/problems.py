"""Findings of annotations, collected by kind; `KINDS` is the table of their severities and fixes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from limner.core.finding import MOST_FILES, Finding, Severity
from limner.formats.terms import DRAWINGS, Terms

Report = Callable[[str, str], None]
"""Reports one problem at a known place, by code and what was found."""


Case = tuple[str, str, str, int]
"""Code, where, found, and how often."""


@dataclass
class _Cases:
    """Count of one kind of problem, its first case, and the files that have it (as keys)."""

    count: int = 0
    found: str = ""
    where: str = ""
    files: dict[str, None] = field(default_factory=dict)
    proposal: dict[str, Any] | None = None


class Problems:
    """Collect problems, so that a thousand cases of one kind make one finding."""

    def __init__(self) -> None:
        self._cases: dict[str, _Cases] = {}

    def add(
        self, code: str, where: str, found: str, *, file: str = "", proposal: dict[str, Any] | None = None
    ) -> None:
        """Add one problem.

        Args:
            code: One of `KINDS`.
            where: File and annotation.
            found: What is there.
            file: The image or label file, so that a report can show it; defaults to `where`.
            proposal: The part of `dataset.yaml` that would resolve all problems of this kind.
        """
        assert code in KINDS, code
        cases = self._cases.setdefault(code, _Cases(0, found, where, proposal=proposal))
        cases.count += 1
        cases.files[file or where] = None

    def at(self, where: str, *, file: str = "") -> Report:
        """Return a function that reports problems at one place."""
        return lambda code, found: self.add(code, where, found, file=file)

    def take(self, others: "Problems") -> None:
        """Add all problems of `others`."""
        for code, cases in others._cases.items():
            mine = self._cases.setdefault(code, _Cases(0, cases.found, cases.where))
            mine.count += cases.count
            mine.files |= cases.files

    def cases(self) -> tuple[Case, ...]:
        """Return code, place and text of the first case, and the count, of each kind."""
        return tuple((code, c.where, c.found, c.count) for code, c in self._cases.items())

    def add_cases(self, cases: Iterable[Case], *, file: str) -> None:
        """Add what `cases` returned, all of one file."""
        for code, where, found, count in cases:
            mine = self._cases.setdefault(code, _Cases(0, found, where))
            mine.count += count
            mine.files[file] = None

    def findings(self, terms: Terms = DRAWINGS) -> tuple[Finding, ...]:
        """Return one finding for each code: the first case in full, the files of the others.

        Args:
            terms: The words of the format.
        """
        return tuple(_finding(code, cases, terms) for code, cases in self._cases.items())


def _finding(code: str, cases: _Cases, terms: Terms) -> Finding:
    severity, expected, fix = KINDS[code]
    more = f"; {cases.count - 1} more like it" if cases.count > 1 else ""
    return Finding(
        code,
        severity,
        cases.where,
        cases.found + more,
        terms.fill(expected),
        terms.fill(fix),
        cases.proposal,
        files=tuple(islice(cases.files, MOST_FILES)),
        count=len(cases.files),
        cases=cases.count,
    )


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_EXPORT = "Correct it in the tool that drew it and export again."
KINDS: dict[str, tuple[Severity, str, str]] = {
    "category-unknown": (
        _E,
        "{category}",
        "Add the class to the {listing}, or remove the annotation.",
    ),
    "category-listed-twice": (_E, "each id and each name once", "Rename or remove one of the two."),
    "image-listed-twice": (_E, "each image id once", "Renumber the images when joining JSON files."),
    "image-missing": (_W, "each listed image on disk", "Add the file, or remove it from the {listing}."),
    "image-not-listed": (_N, "{entry}", "Left out; list it if it shows no object at all."),
    "folder-not-listed": (
        _N,
        "a folder of images of which some are listed",
        "Left out. If it is another dataset, name it instead: `limner check FOLDER`; else list its images.",
    ),
    "image-in-two-files": (
        _W,
        "each image in one label file",
        "The first is used, files of a split before others. Remove the image from one of them.",
    ),
    "image-annotated-twice": (
        _E,
        "all annotations of an image in one JSON file",
        "Merge the files if both draw objects to learn. Else move the file that is not to be used to "
        "a folder of its own.",
    ),
    "image-under-two-ids": (
        _W,
        "one id for each file",
        "All its annotations are used, as of one image. If they are of two images, rename one of them.",
    ),
    "categories-numbered-differently": (
        _W,
        "one name for each category id in all files",
        "Categories of one name are one class, and mask values are numbered anew. "
        "Check that no class has two spellings.",
    ),
    "annotation-image-unknown": (_W, "an id that `images` lists", "Left out. " + _EXPORT),
    "annotation-listed-twice": (_W, "each annotation id once", "Both are used: check whether one is a copy."),
    "annotation-malformed": (
        _E,
        "an image, a class and a complete shape, as the format has them",
        f"Left out, so its pixels count as background. {_EXPORT} Or leave it out for good: "
        "`limner convert` writes a copy without it.",
    ),
    "flags-unclear": (_W, "one flag that is set", "Left out. Set the one flag that matters in labelme."),
    "annotation-without-mask": (_W, "a polygon or an RLE", "Left out: a box alone gives no mask."),
    "boxes-among-masks": (
        _E,
        "a mask for each object, since pixels without one count as background",
        "Accept that losses and scores ignore the pixels of these boxes; or write `boxes: outline` into "
        "dataset.yaml if the boxes are the outlines of their objects; or draw the missing masks.",
    ),
    "folder-without-labels": (
        _W,
        "a label file for some image of each folder",
        "Left out. Add the label files if they are missing, empty ones for images without objects.",
    ),
    "mask-shared-by-images": (
        _W,
        "one image for each label file",
        "The labels are used for both. Rename one of the images if they are different pictures.",
    ),
    "boxes-only": (
        _N,
        "polygons or masks, where masks are to be trained",
        "No action needed to train --task detection; to train on masks, export the labels with masks.",
    ),
    "run-order-unclear": (
        _E,
        "images that are not square, which tell columns from rows",
        "Accept that runs go down the columns; or write `run_order: rows` into dataset.yaml. "
        "`limner browse` shows which is right.",
    ),
    "attribute-unclear": (
        _E,
        "one attribute of regions that names the classes",
        "Accept the first as the class, or write `class_attribute` with the name of another into "
        "dataset.yaml.",
    ),
    "box-zero-size": (_W, "a box with a width and a height", "Left out. Remove the box, or redraw it."),
    "box-outside-image": (_W, "a box inside the image", "Clipped at the border. " + _EXPORT),
    "polygon-crosses-itself": (
        _W,
        "an outline that does not cross itself",
        "Filled as it is, with gaps where it overlaps itself. " + _EXPORT,
    ),
    "word-crosses-itself": (
        _W,
        "the corners of a word in order around it",
        "Four corners are put in order; of other outlines the largest loop is used. " + _EXPORT,
    ),
    "box-and-mask-disagree": (
        _W,
        "a box within 2 pixels of its mask",
        "Training uses the mask, and boxes use the stated box. Redraw one of them.",
    ),
    "annotation-repeated": (_W, "each object drawn once", "Both are used: remove the copy."),
    "objects-overlap": (
        _N,
        "each pixel in one object",
        "No action needed for a few pixels: label maps give them to the smaller object, instances to both. "
        "If there are more, check whether an object is drawn twice.",
    ),
    "classes-overlap": (
        _W,
        "each pixel in the mask of one class",
        "The class with the smaller area is on top; check whether that is right where classes overlap.",
    ),
    "crowd": (
        _N,
        "single objects",
        "No action needed: crowds are not trained on, and predictions inside one do not count as wrong.",
    ),
    "image-without-mask": (_W, "a label file of its name", "Left out; label it, or move it away."),
    "annotation-without-image": (_W, "an image of the same name", "Add the image, or remove the file."),
    "size-not-stated": (_W, "width and height", "Taken from the image instead. " + _EXPORT),
    "value-outside-0-1": (_W, "fractions of width and height, 0 to 1", "Clipped at the border. " + _EXPORT),
    "coordinates-in-pixels": (
        _E,
        "fractions of width and height, 0 to 1",
        "Left out. Divide x by the width and y by the height of the image, or export it again.",
    ),
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
        "Lines are drawn 10 pixels wide and points 11 across, as labelme does; polygons are more exact.",
    ),
    "several-labels": (
        _W,
        "one label a region",
        "The first label is used. Allow one label a region in the tool, or draw the region once for each.",
    ),
    "not-exhaustive": (
        _N,
        "all objects of all classes drawn",
        "Objects that are not drawn count as background; keep that in mind when reading scores.",
    ),
    "segment-not-in-png": (_W, "each listed segment in the PNG", "Nothing is trained on it. " + _EXPORT),
    "polygon-too-short": (_W, "3 points or more", "The polygon is left out. " + _EXPORT),
    "polygon-outside-image": (_W, "points inside the image", "Clipped at the border. " + _EXPORT),
    "annotation-empty": (_W, "an area of a pixel or more", "Left out. " + _EXPORT),
    "rle-wrong-length": (_W, "runs that add up to height x width", "Left out. " + _EXPORT),
    "text-ignored": (_N, "", "No action needed: losses and scores ignore these words."),
    "ids-are-text": (_N, "numbers", "No action needed: text is compared as the number it spells."),
    "other-annotations-not-used": (
        _N,
        "one set of annotations",
        "No action needed if it draws the same objects; to use it, move it into a folder of its own.",
    ),
}
"""Code -> severity, what was expected, how to fix it; `Terms.fill` gives the words in braces."""
