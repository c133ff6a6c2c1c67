"""Labels: which value in a mask file means which class, and the number the class is trained as.

Shape legend: H, W spatial sizes (any number of spatial axes is accepted), K classes.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from limner.core.boxes import Boxes
from limner.core.errors import ConfigError, DataError
from limner.core.segments import Segments

IGNORE_INDEX = 255
"""The trained value of a pixel that no loss and no metric looks at, among up to 255 classes."""

WIDE_IGNORE_INDEX = 65535
"""The same among more classes, whose label maps take 16 bits."""

MAX_CLASSES = WIDE_IGNORE_INDEX
"""Trained labels take 16 bits at most, and the last of their values is the ignored one."""

MOST_NAMED = 255
"""Classes that a message lists by name; of more it says how many there are."""

MAX_LOOKUP = 1 << 24
"""Values below this are translated by table: all of 16 bits, and all packed colours."""

RGB = tuple[int, int, int]
ValueMap = npt.NDArray[Any]
"""(*spatial) integers: the values of a mask file before they are translated."""

LabelArray = npt.NDArray[np.unsignedinteger]
"""(*spatial) trained labels 0..K-1, or `ignored_in` their type: uint8 up to 255 classes, uint16 above."""


def ignored_among(num_classes: int) -> int:
    """Return the trained value of what is ignored beside K classes: the largest of `label_dtype`."""
    return IGNORE_INDEX if num_classes <= IGNORE_INDEX else WIDE_IGNORE_INDEX


def ignored_in(labels: LabelArray) -> int:
    """Return the value of ignored pixels in a label map, which its type tells: 255, or 65535 in 16 bits."""
    return int(np.iinfo(labels.dtype).max)


def label_dtype(num_classes: int) -> np.dtype[Any]:
    """Return the type of label maps of K classes: uint8 up to 255 of them, uint16 above."""
    return np.dtype(np.uint8 if num_classes <= IGNORE_INDEX else np.uint16)


def background_among(names: Sequence[str]) -> int | None:
    """Return the place of the class named ``background``, in upper or lower case, or None."""
    folded = [name.casefold() for name in names]
    return folded.index("background") if "background" in folded else None


@dataclass(frozen=True)
class MaskEncoding:
    """How the pixels of a mask file become integer values.

    Attributes:
        kind: ``index`` takes the pixel (or palette index) itself; ``color`` packs RGB as
            ``red * 65536 + green * 256 + blue``; ``threshold`` gives 1 above `threshold`, else 0,
            for masks stored with compression noise; ``objects`` gives 1 where the pixel is not 0, since the
            numbers count objects of one class.
        threshold: Only for ``threshold``: pixels greater than this are 1.
    """

    kind: Literal["index", "color", "threshold", "objects"] = "index"
    threshold: int | None = None

    def __post_init__(self) -> None:
        if (self.kind == "threshold") != (self.threshold is not None):
            raise ConfigError("A mask encoding has a threshold exactly when its kind is 'threshold'.")


@dataclass(frozen=True)
class LabelClass:
    """One class.

    Attributes:
        name: What people call it.
        values: The mask values that mean it; the first is the one written back. At least one.
        color: RGB 0..255, for drawing.
        is_thing: True for countable objects, False for stuff, None if unspecified.
    """

    name: str
    values: tuple[int, ...]
    color: RGB
    is_thing: bool | None = None

    @property
    def hex_color(self) -> str:
        """The colour as web pages write it, such as ``#ff8000``."""
        return "#{:02x}{:02x}{:02x}".format(*self.color)


@dataclass(frozen=True)
class LabelTable:
    """The one visible table: mask value -> name -> trained as 0..K-1, and back.

    Raises:
        ConfigError: A name or a value is repeated, there is no class, or there are more than 65535.
    """

    classes: tuple[LabelClass, ...]
    ignored_values: tuple[int, ...] = ()
    encoding: MaskEncoding = MaskEncoding()

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise ConfigError(f"A label table holds 1 to {MAX_CLASSES} classes; found {len(self.classes)}.")
        _refuse_repeats("class name", [c.name for c in self.classes])
        _refuse_repeats("mask value", [v for c in self.classes for v in c.values] + list(self.ignored_values))

    @property
    def num_classes(self) -> int:
        """K, the number of trained classes; ignored values are not counted."""
        return len(self.classes)

    @property
    def ignore_index(self) -> int:
        """The trained value of what no loss and no metric looks at: the largest of `label_dtype`."""
        return ignored_among(self.num_classes)

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """Of label maps of these classes: uint8, or uint16 for more than 255."""
        return label_dtype(self.num_classes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Class names in trained order."""
        return tuple(c.name for c in self.classes)

    @cached_property
    def background_index(self) -> int | None:
        """Trained index of the class named ``background``, or None; foreground scores leave it out."""
        return background_among(self.names)

    @property
    def foreground_indices(self) -> tuple[int, ...]:
        """Trained indices of the classes except the background."""
        return tuple(index for index in range(self.num_classes) if index != self.background_index)

    @property
    def foreground(self) -> tuple[LabelClass, ...]:
        """The classes except the background."""
        return tuple(self.classes[index] for index in self.foreground_indices)

    @cached_property
    def is_thing(self) -> npt.NDArray[np.bool_]:
        """(K,) whether each class is of countable objects.

        If no class is said to be, all are but the background and those that are said not to be.
        """
        if any(c.is_thing for c in self.classes):
            return np.array([bool(c.is_thing) for c in self.classes])
        return np.array(
            [c.is_thing is None and i != self.background_index for i, c in enumerate(self.classes)]
        )

    def things(self) -> "LabelTable":
        """Return the table of the countable classes alone, with the values of the others ignored.

        Raises:
            ConfigError: No class is countable.
        """
        if not self.is_thing.any():
            raise ConfigError(
                f"None of the classes is of countable objects: {', '.join(self.names)}. "
                "Say which are with `is_thing: true` under `classes` in dataset.yaml."
            )
        rows = list(zip(self.classes, self.is_thing, strict=True))
        others = tuple(v for c, countable in rows if not countable for v in c.values)
        return LabelTable(
            tuple(c for c, countable in rows if countable), (*self.ignored_values, *others), self.encoding
        )

    @cached_property
    def palette(self) -> npt.NDArray[np.uint8]:
        """(K, 3) RGB colours in trained order."""
        return np.array([c.color for c in self.classes], dtype=np.uint8)

    @cached_property
    def trained_as(self) -> dict[int, int]:
        """Mask value -> trained index, with `ignore_index` for ignored values."""
        table = {value: index for index, c in enumerate(self.classes) for value in c.values}
        return table | dict.fromkeys(self.ignored_values, self.ignore_index)

    @cached_property
    def _lookup(self) -> LabelArray | None:
        """Trained index of each value from 0 to the largest; None where no table can hold it.

        The value below the ignored one marks what is in no class. Where a class has that number too, as of
        exactly 255 classes, translating takes a slower road.
        """
        unknown = self.ignore_index - 1
        if self.num_classes > unknown or not all(0 <= v < MAX_LOOKUP for v in self.trained_as):
            return None
        table = np.full(max(256, 1 + max(self.trained_as)), unknown, self.label_dtype)
        table[list(self.trained_as)] = list(self.trained_as.values())
        return table

    def encode(self, values: ValueMap, *, where: str = "the mask") -> LabelArray:
        """Translate mask values into trained labels.

        Args:
            values: (*spatial) integers as read from a mask file.
            where: The file, for the error message.

        Returns:
            (*spatial) in `label_dtype`: 0..K-1, or `ignore_index`; `values` itself where it holds just that.

        Raises:
            DataError: A value is in no class and not ignored.
        """
        if self._are_trained_values(values):
            return values
        table = self._lookup
        if table is not None and values.size:
            labels = _looked_up(values, table)
            if labels is None:
                self._refuse_unknown(values, where)
            else:
                return labels
        found, inverse = np.unique(values, return_inverse=True)
        if any(int(v) not in self.trained_as for v in found):
            self._refuse_unknown(values, where)
        translated = np.array([self.trained_as[int(v)] for v in found], self.label_dtype)
        return translated[inverse].reshape(values.shape)

    def encode_segments(self, segments: Segments, *, where: str = "the labels") -> Segments:
        """Translate the mask values of segments into trained labels; those of ignored values are dropped.

        Args:
            segments: As a format reads them, with mask values as labels.
            where: The file, for the error message.

        Raises:
            DataError: A value is in no class and not ignored.
        """
        trained = self._trained(segments.labels, where)
        encoded = replace(segments, labels=trained, complete=self._complete(segments.complete))
        return encoded.select(trained != self.ignore_index)

    def encode_boxes(self, boxes: Boxes, *, where: str = "the labels") -> Boxes:
        """Translate the mask values of boxes into trained labels; those of ignored values are dropped.

        Args:
            boxes: As a format reads them, with mask values as labels.
            where: The file, for the error message.

        Raises:
            DataError: A value is in no class and not ignored.
        """
        trained = self._trained(boxes.labels, where)
        encoded = replace(boxes, labels=trained, complete=self._complete(boxes.complete))
        return encoded.select(trained != self.ignore_index)

    def encode_class(self, value: int, *, where: str = "the labels") -> int:
        """Translate the class of a whole image, `ignore_index` where its value is ignored.

        Args:
            value: As a format reads it.
            where: The file, for the error message.

        Raises:
            DataError: The value is in no class and not ignored.
        """
        return int(self._trained(np.array([value], np.int64), where)[0])

    def encode_tags(self, values: Sequence[int], *, where: str = "the labels") -> npt.NDArray[np.float32]:
        """Translate the classes of a whole image into (K,) shares: 1 for each of them, 0 for the others.

        Args:
            values: As a format reads them; those of ignored values are left out.
            where: The file, for the error message.

        Raises:
            DataError: A value is in no class and not ignored.
        """
        trained = self._trained(np.array(values, np.int64), where)
        shares = np.zeros(self.num_classes, np.float32)
        shares[trained[trained != self.ignore_index]] = 1
        return shares

    def _complete(self, values: frozenset[int] | None) -> frozenset[int] | None:
        """Return the trained labels all of whose mask values are complete; None if all are."""
        if values is None:
            return None
        return frozenset(k for k, one in enumerate(self.classes) if values.issuperset(one.values))

    def _trained(self, values: npt.NDArray[np.int64], where: str) -> npt.NDArray[np.int64]:
        """Translate the values of a list of objects, `ignore_index` for those that are left out."""
        if self.unknown_values(values.tolist()):
            self._refuse_unknown(values, where)
        return np.array([self.trained_as[int(v)] for v in values], np.int64)

    def decode(self, labels: LabelArray) -> ValueMap:
        """Translate trained labels back into the mask values of the user's own files.

        Args:
            labels: (*spatial) in `label_dtype`, each 0..K-1 or `ignore_index`.

        Returns:
            (*spatial) in the smallest unsigned type that holds every value. Ignored pixels get the
            first ignored value, or `ignore_index` where the table names none.
        """
        firsts = [c.values[0] for c in self.classes]
        ignored = self.ignored_values[0] if self.ignored_values else self.ignore_index
        table = np.full(1 + self.ignore_index, ignored, np.int64)
        table[: len(firsts)] = firsts
        return table.astype(np.min_scalar_type(max(*firsts, ignored)))[labels]

    def _are_trained_values(self, values: ValueMap) -> bool:
        """Whether `values` can be trained as they are: 0..K-1, and `ignore_index` where it is ignored."""
        if values.dtype != self.label_dtype or any(
            value != trained for value, trained in self.trained_as.items()
        ):
            return False
        if values.max(initial=0) < self.num_classes:
            return True
        # One more wraps the ignored value, the last of its type, around to 0.
        return bool(self.ignored_values) and bool((values + values.dtype.type(1)).max() <= self.num_classes)

    def unknown_values(self, values: Iterable[int]) -> list[int]:
        """Return those of `values` that the table does not know, sorted."""
        return sorted({int(v) for v in values} - self.trained_as.keys())

    def _refuse_unknown(self, values: ValueMap, where: str) -> None:
        unknown = self.unknown_values(np.unique(values))
        known = ", ".join(f"{v} ({c.name})" for c in self.classes[:MOST_NAMED] for v in c.values)
        if self.num_classes > MOST_NAMED:
            known += f" and {self.num_classes - MOST_NAMED} more classes"
        raise DataError(
            f"Values outside the named labels in {where}: {unknown[:10]}; named are {known}, "
            f"ignored are {list(self.ignored_values)}. "
            "`limner check` of the dataset says what they may be; name them under `classes` or `ignored` "
            "in dataset.yaml, or correct the mask."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values, in the shape that `dataset.yaml` has."""
        classes: list[dict[str, Any]] = []
        for c in self.classes:
            row: dict[str, Any] = {"name": c.name, "values": list(c.values), "color": list(c.color)}
            classes.append(row if c.is_thing is None else row | {"is_thing": c.is_thing})
        encoding: Any = self.encoding.kind
        if self.encoding.kind == "threshold":
            encoding = {"threshold": self.encoding.threshold}
        return {"mask_encoding": encoding, "classes": classes, "ignored": list(self.ignored_values)}

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> "LabelTable":
        """Read what `to_dict` wrote."""
        encoding = table.get("mask_encoding", "index")
        return cls(
            classes=tuple(
                LabelClass(c["name"], tuple(c["values"]), (*c["color"],), c.get("is_thing"))
                for c in table["classes"]
            ),
            ignored_values=tuple(table.get("ignored", ())),
            encoding=MaskEncoding("threshold", encoding["threshold"])
            if isinstance(encoding, dict)
            else MaskEncoding(encoding),
        )


def pack_rgb(color: Sequence[int]) -> int:
    """Return the mask value of an RGB colour: ``red * 65536 + green * 256 + blue``."""
    red, green, blue = color
    return int(red) << 16 | int(green) << 8 | int(blue)


def unpack_rgb(value: int) -> RGB:
    """Return the RGB colour of a mask value packed by `pack_rgb`."""
    return value >> 16 & 255, value >> 8 & 255, value & 255


DISTINCT_COLORS: tuple[RGB, ...] = (
    (0, 0, 0),
    (26, 200, 110),
    (255, 127, 14),
    (64, 120, 255),
    (230, 60, 120),
    (250, 210, 50),
    (140, 90, 220),
    (70, 200, 230),
    (160, 95, 50),
    (220, 50, 50),
    (150, 200, 60),
    (245, 160, 200),
    (0, 120, 120),
    (170, 190, 255),
    (120, 120, 20),
    (0, 90, 160),
    (255, 190, 140),
    (110, 50, 110),
    (180, 255, 200),
    (190, 0, 150),
)
"""Black for a background, then colours that stand out on tissue, on dark fluorescence and on streets."""


def alphabetical(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names in the order that numbers them where nothing else does.

    Whole numbers are first, in numeric order (1, 2, 10); in words, capitals do not count.
    """
    return tuple(sorted(names, key=_place))


def _place(name: str) -> tuple[float, str, str]:
    number = int(name) if name.isascii() and name.isdigit() else math.inf
    return number, name.casefold(), name


def distinct_color(index: int) -> RGB:
    """Return the drawing colour of class number `index` if none was specified.

    The first twenty are chosen by eye. Further ones are those of the PASCAL VOC map:
    any number of them, but the first few are too dark to see as a tint.
    """
    if index < len(DISTINCT_COLORS):
        return DISTINCT_COLORS[index]
    return voc_color(index)


def voc_color(index: int) -> RGB:
    """Return colour number `index` of the PASCAL VOC map, which spreads the bits of the index over RGB."""
    red = green = blue = 0
    for bit in range(8):
        red |= (index >> 0 & 1) << (7 - bit)
        green |= (index >> 1 & 1) << (7 - bit)
        blue |= (index >> 2 & 1) << (7 - bit)
        index >>= 3
    return red, green, blue


def _looked_up(values: ValueMap, table: LabelArray) -> LabelArray | None:
    """Return `table` at `values`, or None where a value is outside it."""
    unknown = ignored_in(table) - 1
    if values.dtype == table.dtype == np.uint8:
        # Translating bytes takes a quarter of the time of numpy's indexing.
        translated = bytearray(np.ascontiguousarray(values)).translate(table[:256].tobytes())
        return None if unknown in translated else np.frombuffer(translated, np.uint8).reshape(values.shape)
    if int(values.min()) < 0 or int(values.max()) >= len(table):
        return None
    labels = table[values]
    return None if (labels == unknown).any() else labels


def _refuse_repeats(kind: str, items: Sequence[str] | Sequence[int]) -> None:
    counts: Counter[str | int] = Counter(items)
    repeated = sorted(str(item) for item, count in counts.items() if count > 1)
    if repeated:
        raise ConfigError(f"Each {kind} may be in the label table once; repeated: {', '.join(repeated)}.")
