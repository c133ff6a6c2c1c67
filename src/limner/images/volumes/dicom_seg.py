"""DICOM SEG: binary segments of a series, read to a label map on its grid, and written through highdicom.

Reference: DICOM PS3.3, A.51 (Segmentation IOD) and C.8.20 (Segmentation modules).
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.affine import SAME_PLACE
from limner.core.errors import DataError, MissingPartError, describe
from limner.core.labels import ValueMap
from limner.images.volumes.dicom import INSTALL, Slice, decoded, read_dataset, slices_of, sorted_slices
from limner.storage.whole_files import write_whole

MAX_SEGMENTS = 65535


def segment_names(path: Path) -> dict[int, str]:
    """Return the number and the name of each segment.

    Raises:
        DataError: The file cannot be read.
    """
    data = read_dataset(path, pixels=False)
    return {
        int(one.SegmentNumber): str(one.get("SegmentLabel", "")) for one in data.get("SegmentSequence", ())
    }


def read_segmentation(path: Path, series: Sequence[Path]) -> ValueMap:
    """Read the segments as a label map on the grid of their series; of overlapping ones the last wins.

    Args:
        path: The segmentation.
        series: The files of the series that it was drawn on.

    Returns:
        (D, H, W) numbers of segments, and 0 elsewhere.

    Raises:
        DataError: A file cannot be read, segments are fractional, or they are not on the grid of the series.
    """
    slices = sorted_slices(series)
    data = read_dataset(path)
    if str(data.get("SegmentationType", "BINARY")) == "FRACTIONAL":
        raise _unusable(path, "fractional segments; labels are binary")
    frames = [*slices_of(path)]
    pixels = decoded(data, path)
    shared: Any = data.SharedFunctionalGroupsSequence[0] if "SharedFunctionalGroupsSequence" in data else None
    labels = np.zeros((len(slices), *slices[0].shape), np.uint16)
    depths = np.array([one.depth for one in slices])
    for frame, mask in zip(frames, pixels, strict=True):
        place = _place_of(frame, slices, depths, path)
        own = data.PerFrameFunctionalGroupsSequence[frame.frame]
        group = own if "SegmentIdentificationSequence" in own else shared
        number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        labels[place][mask != 0] = number
    return labels.astype(np.uint8) if labels.max(initial=0) < 256 else labels


def write_segmentation(
    path: Path, labels: ValueMap, series: Sequence[Path], names: Mapping[int, str]
) -> None:
    """Write a label map as binary segments of a series.

    Args:
        path: The file to write.
        labels: (D, H, W) in the order in which `read_series` sorts the slices; 0 is no segment.
        series: The files of the series.
        names: Value -> name of its segment.

    Raises:
        DataError: The series cannot be read.
        MissingPartError: highdicom is not installed.
        WriteError: The file cannot be written.
    """
    try:
        import highdicom as hd
        from pydicom.sr.codedict import codes
    except ImportError:
        raise MissingPartError("highdicom", "Writing DICOM SEG", INSTALL) from None
    ordered = [read_dataset(one.path) for one in sorted_slices(series)]
    values = [value for value in sorted(names) if value]
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=names[value][:64],
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=hd.AlgorithmIdentificationSequence(
                name="limner", version="1", family=codes.DCM.ArtificialIntelligence
            ),
        )
        for number, value in enumerate(values, start=1)
    ]
    masks = np.stack([labels == value for value in values], axis=-1).astype(np.uint8)
    written = hd.seg.Segmentation(
        source_images=ordered,
        pixel_array=masks,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=hd.UID(),
        series_number=100,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="limner",
        manufacturer_model_name="limner",
        software_versions="1",
        device_serial_number="1",
    )
    file = io.BytesIO()
    written.save_as(file)
    write_whole(path, file.getvalue())


def _place_of(frame: Slice, slices: Sequence[Slice], depths: Any, path: Path) -> int:  # noqa: ANN401
    """Return the slice of the series that a frame lies on.

    Raises:
        DataError: The frame lies on no slice of the series.
    """
    place = int(np.abs(depths - frame.depth).argmin())
    under = slices[place]
    shift = float(np.linalg.norm(np.subtract(frame.position, under.position)))
    turned = float(np.abs(np.subtract(frame.axes, under.axes)).max())
    if frame.shape != under.shape or turned > 1e-3 or shift > SAME_PLACE * min(under.steps):
        found = f"a frame of {frame.shape} at {frame.position}, {shift:.3g} mm from the nearest slice"
        raise _unusable(path, found, f"the grid of {under.path.parent}: {under.shape} at {under.position}")
    return place


def _unusable(path: Path, found: str, expected: str = "binary segments") -> DataError:
    return DataError(
        describe(
            "The DICOM segmentation cannot be used",
            where=path,
            found=found,
            expected=expected,
            fix="Export it on the grid of its series, as binary segments.",
        )
    )
