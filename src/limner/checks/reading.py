"""Read one record once: decode, measure, and turn any failure into a fact."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from limner.checks import measuring
from limner.checks.facts import GRID, Grid, ImageFacts, ObjectFacts
from limner.checks.object_counts import measure_objects
from limner.checks.runs import Runs
from limner.checks.volume_facts import VolumeFacts
from limner.core.labels import MaskEncoding, ValueMap, pack_rgb
from limner.core.picture import Picture
from limner.core.sample import Record
from limner.core.segments import Segments
from limner.formats.source import Source
from limner.images.file_names import is_image_name
from limner.images.headers import ImageHeader
from limner.images.masks import (
    ColouredMaskError,
    count_rounded,
    packed_colors,
    read_valid_region,
    read_values,
)
from limner.images.pixels import cached_headers
from limner.images.read_image import image_header

Region = npt.NDArray[np.bool_]
Kind = Literal["index", "color", "threshold", "objects"]

MAX_DRAWN_PIXELS = 2**24
"""Labels of a stated size above this are not drawn unless their image has that size: a wrong size could
exhaust the memory."""

_FAILURES = (OSError, ValueError, MemoryError, SyntaxError, cv2.error)
"""Errors of decoding: `DataError` is a ValueError; Pillow raises SyntaxError for some broken PNGs."""


@dataclass(frozen=True)
class Reading:
    """The facts measured on one record.

    Attributes:
        facts: All but `occupancy`, which needs the whole dataset.
        grids: Mask value -> (8, 8) share of each cell, for the values that matter in this image.
    """

    facts: ImageFacts
    grids: dict[int, Grid] = field(default_factory=dict)


def read_record(source: Source, record: Record) -> Reading:
    """Read each file of one record once and measure it; an unreadable file becomes an error text."""
    with cached_headers():
        return _read_record(source, record)


def _read_record(source: Source, record: Record) -> Reading:
    facts = ImageFacts(
        name=record.name,
        split=record.split,
        image_file=relative(record.image, source.root),
        label_file=_label_name(source, record),
    )
    facts, picture = _with_image(facts, source, record)
    if record.label is not None:
        return Reading(_with_classes(facts, [source.read_class(record)]))
    if record.tags is not None:
        return Reading(_with_classes(facts, source.read_tags(record)))
    return _with_labels(facts, source, record, picture) if record.labels else Reading(facts)


def _with_classes(facts: ImageFacts, labels: Sequence[int]) -> ImageFacts:
    shape, counts = facts.shape or None, dict.fromkeys(labels, 1)
    return replace(facts, label_kind="class", label_shape=shape, value_counts=counts, num_values=len(counts))


def relative(path: Path, root: Path) -> str:
    """Return `path` as the user would write it: relative to the dataset folder if it is inside."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _label_name(source: Source, record: Record) -> str:
    """Return the first label file, or the image's entry in a JSON of many images."""
    if not record.labels:
        return ""
    if record.entry and not _is_image(record.labels[0]):
        return record.entry
    return relative(record.labels[0], source.root)


def _is_image(label: Path) -> bool:
    return is_image_name(label.name)


def _with_image(facts: ImageFacts, source: Source, record: Record) -> tuple[ImageFacts, Picture | None]:
    """Return the facts with those of the image, and the image unless it cannot be read."""
    try:
        picture = source.read_image(record)
        is_volume = picture.array.ndim == 4
        header = None if is_volume else image_header(record.image)
    except _FAILURES as error:
        return replace(facts, image_error=reason(error)), None
    image, valid = picture.array, picture.valid
    some = image if valid is None or not valid.any() else image[valid][np.newaxis]
    statistics = measuring.intensities(some)
    small = measuring.small_grey(image, statistics)
    measured = replace(
        facts,
        shape=tuple(image.shape[:-1]),
        channels=image.shape[-1],
        dtype=image.dtype.name,
        content_hash=measuring.digest(image),
        perceptual_hash=measuring.perceptual_hash(small),
        has_alpha=header is not None and header.has_alpha,
        has_palette=header is not None and header.has_palette,
        is_exif_rotated=header is not None and header.orientation != 1,
        is_grey=measuring.is_grey(image),
        intensities=statistics,
        thumbnail_means=measuring.block_means(small, GRID),
        thumbnail=measuring.thumbnail(small),
        no_data_pixels=0 if valid is None else int((~valid).sum()),
        volume=VolumeFacts.of(picture.geometry, image) if is_volume else None,
    )
    return measured, picture


def _with_labels(facts: ImageFacts, source: Source, record: Record, picture: Picture | None) -> Reading:
    valid = None if picture is None else picture.valid
    try:
        stated = source.stated_shape(record)
        if stated is not None and stated != facts.shape and prod(stated) > MAX_DRAWN_PIXELS:
            return Reading(replace(facts, label_shape=stated))
        labels = _read_labels(source, record)
        problems = source.label_problems(record, labels.segments)
        region = valid if valid is not None and valid.shape == labels.values.shape else None
        if record.valid_region is not None:
            seen = read_valid_region(record.valid_region, labels.values.shape)
            region = seen if region is None else seen & region
    except _FAILURES as error:
        return Reading(replace(facts, label_error=reason(error)))
    if labels.segments is not None and labels.segments.shared_pixels and not source.overlaps_are_usual:
        shared = labels.segments.shared_pixels
        found = f"{shared} pixel{'' if shared == 1 else 's'} in two objects or more"
        problems.add("objects-overlap", record.name, found)
    values, header = labels.values, labels.header
    runs = Runs.of(values) if values.ndim == 2 else None
    if region is None:
        counts, num_values = measuring.count_values(values, runs)
    else:  # training ignores the other pixels, so they are not counted
        counts, num_values = measuring.count_values(values[region])
    components = measuring.components(runs, num_values)
    volume = _with_label_grid(facts.volume, source, record)
    if volume is not None and picture is not None:
        volume = volume.with_foreground(picture.array, values)
    is_listed = num_values <= measuring.MAX_COMPONENT_VALUES
    facts = replace(
        facts,
        label_shape=tuple(values.shape),
        label_kind=labels.kind,
        label_channels=header.channels if header and not header.has_palette else 1,
        label_is_lossy=header is not None and header.is_lossy,
        label_is_inverted=header is not None and header.is_inverted,
        label_no_data=_no_data(header),
        palette=_palette(source, record, labels, counts),
        label_names={v: name for v, name in _listed_names(source, record, header) if v in counts},
        value_counts=counts,
        num_values=num_values,
        objects=dict(labels.objects),
        label_problems=problems.cases(),
        components=components if is_listed else {},
        values_in_one_piece=measuring.values_in_one_piece(components),
        value_centers=runs.centers_of_values() if runs is not None and is_listed else {},
        volume=volume,
    )
    return Reading(facts, measuring.value_grids(values, runs, counts))


def _with_label_grid(volume: VolumeFacts | None, source: Source, record: Record) -> VolumeFacts | None:
    """Return the facts of a volume with the position of its labels, if they are a volume too."""
    if volume is None or not _is_image(record.labels[0]):
        return volume
    # With `label_grid`, labels lie on their image, whatever their header says.
    label = volume.geometry if source.settings.label_grid else image_header(record.labels[0]).geometry
    return volume.with_labels(label, rounded=sum(map(count_rounded, record.labels)))


def _no_data(header: ImageHeader | None) -> int | None:
    """Return the no-data value of a mask, which holds whole numbers."""
    value = None if header is None else header.no_data
    return int(value) if value is not None and isfinite(value) and value == int(value) else None


def _listed_names(source: Source, record: Record, header: ImageHeader | None) -> Iterable[tuple[int, str]]:
    """Return value and name as the label file lists them, or a file for it alone."""
    return header.segment_names if header and header.segment_names else source.names_of_values(record).items()


def _palette(source: Source, record: Record, labels: "_Labels", values: Iterable[int]) -> dict[int, int]:
    """Return value -> packed RGB of a mask that stores palette indices; empty for others."""
    header = labels.header
    if header is None or not header.has_palette or labels.kind != "index" or "instance" in source.tasks:
        return {}
    if header.palette:
        entries = np.frombuffer(header.palette, np.uint8).reshape(-1, 3)
        return {value: pack_rgb(entries[value]) for value in values if value < len(entries)}
    colors = read_values(record.labels[0], MaskEncoding("color"))
    return {value: int(colors.flat[int((labels.values == value).argmax())]) for value in values}


class _Labels(NamedTuple):
    """The labels of one image; the header is set for a single label image."""

    values: ValueMap
    kind: Kind
    header: ImageHeader | None = None
    objects: Mapping[int, ObjectFacts] = MappingProxyType({})
    segments: Segments | None = None


def _read_labels(source: Source, record: Record) -> _Labels:
    """Read the label map and the objects, decoding files that hold both once."""
    kind = source.settings.encoding.kind
    if "instance" in source.tasks:
        segments = source.read_segments(record)
        found = measure_objects(segments.labels, segments.areas, segments.is_crowd)
        header = image_header(record.labels[0]) if _is_single_image(record) else None
        return _Labels(segments.painted(source.uncovered), kind, header, found, segments)
    if "detection" in source.tasks:
        boxes = source.read_boxes(record)
        found = measure_objects(boxes.labels, boxes.areas, boxes.is_crowd)
        return _Labels(source.read_values(record), kind, objects=found)
    return _read_values(source, record)


def _is_single_image(record: Record) -> bool:
    return len(record.labels) == 1 and _is_image(record.labels[0])


def _read_values(source: Source, record: Record) -> _Labels:
    """Read the labels by the encoding in `dataset.yaml`, or by colour if it has none and they are coloured.

    There is no header if each instance has a file, or if the file is not an image (polygons, COCO's
    JSON).
    """
    encoding = source.settings.encoding
    if not _is_single_image(record):
        return _Labels(source.read_values(record), encoding.kind)
    label = record.labels[0]
    try:
        return _Labels(source.read_values(record), encoding.kind, image_header(label))
    except ColouredMaskError as error:
        if encoding.kind != "index":
            raise
        return _Labels(packed_colors(error.pixels, label), "color", image_header(label))


def reason(error: Exception) -> str:
    """Return the text of an error; a bare MemoryError has none of its own."""
    if isinstance(error, MemoryError):
        return "The file does not fit into memory."
    return str(error) or type(error).__name__
