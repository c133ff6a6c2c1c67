"""Base of the formats of words in images: polygons are checked, and drawn as a text mask.

Shape legend: H, W image size.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

import numpy as np

from limner.core.clipping import clip_polygon
from limner.core.labels import IGNORE_INDEX, LabelClass, LabelTable, ValueMap, distinct_color
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.core.words import Polygon, Words
from limner.formats.drawn import Drawn, Shape
from limner.formats.problems import Problems
from limner.formats.shapes.polygons import crosses_itself
from limner.formats.source import TEXT_TASK, Source
from limner.formats.terms import WORDS, Terms
from limner.images.read_image import image_header

BORDER = 2.0
"""Pixels that a word may reach beyond the image without a finding, since annotators draw over the edge."""

TEXT = 1


class RawWord(NamedTuple):
    """A word as its file has it.

    Attributes:
        numbers: x, y, x, y, ..., or left, top, right, bottom; None if the file holds something else.
        where: File and line, for messages.
        text: The transcription, or None.
        is_ignored: The file marks it as not to be scored.
    """

    numbers: Sequence[float] | None
    where: str
    text: str | None
    is_ignored: bool


class WordsSource(Source):
    """Words as polygons. For the semantic task, a pixel is text, ignored, or background."""

    terms: ClassVar[Terms] = WORDS
    tasks = (TEXT_TASK, "semantic")

    @abstractmethod
    def raw_words(self, record: Record) -> Iterable[RawWord]:
        """Yield the words in the file of an image.

        Raises:
            DataError: The file cannot be read.
        """

    def read_words(self, record: Record) -> Words:
        """Return the words that can be drawn."""
        return self._words(record, Problems())

    def label_problems(self, record: Record, segments: Segments | None = None) -> Problems:
        """Return the problems of single words, and how many words are ignored."""
        problems = Problems()
        self._words(record, problems)
        return problems

    def read_values(self, record: Record) -> ValueMap:
        """Fill the words: 1 is text, 255 an ignored word, 0 everything else."""
        height, width = image_header(record.image).shape
        values = np.zeros((height, width), np.uint8)
        objects = self.read_objects(record)
        for value in (IGNORE_INDEX, TEXT):  # legible words on top
            shapes = tuple(shape for one in objects if one.value == value for shape in one.shapes)
            values[Drawn(value, shapes).mask(height, width)] = value
        return values

    def read_objects(self, record: Record) -> Sequence[Drawn]:
        """Return each word as an object with its outline, without transcription; ignored words too."""
        words = self.read_words(record)
        both = zip(words.polygons, words.is_ignored.tolist(), strict=True)
        return [
            Drawn(IGNORE_INDEX if ignored else TEXT, (Shape("polygon", polygon.ravel().tolist()),))
            for polygon, ignored in both
        ]

    def declared_labels(self) -> LabelTable:
        """Return the classes in `dataset.yaml`, or background and text."""
        return self.settings.label_table() or LabelTable(
            (
                LabelClass("background", (0,), distinct_color(0), is_thing=False),
                LabelClass("text", (TEXT,), distinct_color(1), is_thing=True),
            ),
            (IGNORE_INDEX,),
        )

    def _words(self, record: Record, problems: Problems) -> Words:
        height, width = image_header(record.image).shape
        kept: list[tuple[Polygon, str | None, bool]] = []
        for raw in self.raw_words(record):
            polygon = _polygon(raw, width, height, problems)
            if polygon is not None:
                kept.append((polygon, raw.text, raw.is_ignored))
                if raw.is_ignored:
                    problems.add("text-ignored", raw.where, "a word marked as unreadable")
        ignored = np.array([is_ignored for *_, is_ignored in kept], bool)
        return Words(tuple(p for p, *_ in kept), tuple(text for _, text, _ in kept), ignored)


def _polygon(raw: RawWord, width: int, height: int, problems: Problems) -> Polygon | None:
    numbers = np.array([] if raw.numbers is None else raw.numbers, np.float64)
    if raw.numbers is None or numbers.size % 2:
        problems.add("annotation-malformed", raw.where, "a polygon that is not x, y, x, y, ...")
        return None
    points = numbers.reshape(-1, 2)
    if len(points) == 2:  # two corners of a box
        (left, top), (right, bottom) = points
        points = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    if len(points) < 3:
        problems.add("polygon-too-short", raw.where, f"a polygon of {len(points)} points")
        return None
    low, high = points.min(0), points.max(0)
    if (low < -BORDER).any() or (high > (width + BORDER, height + BORDER)).any():
        found = f"x from {low[0]:g} to {high[0]:g}, y from {low[1]:g} to {high[1]:g} in {width} x {height}"
        problems.add("polygon-outside-image", raw.where, found)
        points = np.reshape(clip_polygon(points.ravel().tolist(), width, height), (-1, 2))
    if len(points) > 3 and crosses_itself(points.ravel().tolist()):
        from limner.geometry.polygon_shapes import untangled  # shapely takes a while to import

        found = f"an outline of {len(points)} points that crosses itself"
        problems.add("word-crosses-itself", raw.where, found)
        points = untangled(points)
    x, y = points.T
    if not abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) > 0:
        problems.add("annotation-empty", raw.where, "a polygon of area 0")
        return None
    return points
