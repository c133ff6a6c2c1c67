"""DICOM: the files of one series, sorted along the normal of their slices, in rescaled values.

References: DICOM PS3.3, C.7.6.2 (Image Plane), C.7.6.16 (multi-frame), C.11.1 (Modality LUT). pydicom is an
optional library.
"""

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from limner.core.affine import mirrored_left_right_and_front_back, reversed_axes, spacing_of
from limner.core.errors import DataError, MissingPartError, describe
from limner.core.picture import Geometry, Picture
from limner.core.sample import size_text
from limner.devices.host import available_bytes

MAX_GAP = 1.5
"""Factor from the usual distance of slices from which one is missing in between."""

MAX_UNEVEN = 0.05
"""Part of the usual distance by which distances may differ, since positions are rounded."""

INSTALL = "pip install 'limner[volumes]'"
DECODERS = "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"

SMALLEST = 1e-6
"""Steps and normals of slices that are smaller span no plane."""

_MAGIC_AT, _MAGIC = 128, b"DICM"
_FIX = "Export the series again, or keep one series in each folder."


@dataclass(frozen=True)
class Slice:
    """One slice: its place, and where its pixels are.

    Attributes:
        path: The file.
        frame: Number of the frame in the file, from 0.
        position: (3,) of its first pixel, in LPS millimetres.
        axes: (2, 3) directions of its rows and columns.
        steps: Distance of neighbouring rows and columns.
        shape: (H, W).
        series: Series instance UID.
    """

    path: Path
    frame: int
    position: tuple[float, ...]
    axes: tuple[float, ...]
    steps: tuple[float, float]
    shape: tuple[int, int]
    series: str

    @property
    def depth(self) -> float:
        """Position along the normal."""
        normal = np.cross(self.axes[:3], self.axes[3:])
        return float(np.dot(normal, self.position))


def is_dicom_name(name: str) -> bool:
    """Tell whether a file's name is one of DICOM: by suffix, or without any."""
    return name.lower().endswith((".dcm", ".dicom", ".ima")) or "." not in name


def is_dicom(path: Path) -> bool:
    """Tell whether a file has DICOM's mark; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(_MAGIC_AT)
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def dicom_files(folder: Path) -> tuple[Path, ...]:
    """Return the DICOM files directly in a folder, sorted; none if it is no such folder."""
    if not os.path.isdir(folder):  # noqa: PTH112 - faster, for each image
        return ()
    named = sorted(path for path in folder.iterdir() if is_dicom_name(path.name) and path.is_file())
    return tuple(named) if named and is_dicom(named[0]) else ()


def series_folders(folder: Path) -> list[Path]:
    """Return the folders of DICOM files in a folder, at any depth, sorted."""
    inside = [place for place, _, _ in os.walk(folder) if dicom_files(Path(place))]
    return sorted(map(Path, inside))


def read_series(files: Sequence[Path]) -> Picture:
    """Read the files of one series as a volume.

    Args:
        files: Its files, in any order; or one file of several frames.

    Returns:
        (D, H, W, 1) float32 in rescaled values, such as Hounsfield units, with slices along their normal.

    Raises:
        DataError: A file cannot be read, there are two series or slices of different sizes or directions, or
            a slice is missing or there twice.
        MissingPartError: pydicom or a decoder of compressed pixels is not installed.
    """
    slices = sorted_slices(files)
    _refuse_too_large(slices)
    loaded: dict[Path, npt.NDArray[np.float32]] = {}
    volume = np.empty((len(slices), *slices[0].shape, 1), np.float32)
    for place, one in enumerate(slices):
        if one.path not in loaded:
            loaded = {one.path: _pixels(one.path)}
        volume[place, ..., 0] = loaded[one.path][one.frame]
    paths = tuple(dict.fromkeys(one.path for one in slices))
    return Picture(volume, _geometry(slices), paths, "float32")


def series_geometry(files: Sequence[Path]) -> tuple[tuple[int, ...], Geometry]:
    """Return (D, H, W) and the geometry of a series, without its pixels.

    Raises:
        DataError: As `read_series`.
        MissingPartError: pydicom is not installed.
    """
    slices = sorted_slices(files)
    return (len(slices), *slices[0].shape), _geometry(slices)


def read_dataset(path: Path, *, pixels: bool = True) -> Any:  # noqa: ANN401 - a pydicom.Dataset
    """Return the data set of a DICOM file.

    Raises:
        DataError: It cannot be read.
        MissingPartError: pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError:
        raise MissingPartError("pydicom", "Reading DICOM", INSTALL) from None
    try:
        return pydicom.dcmread(path, stop_before_pixels=not pixels)
    except (
        pydicom.errors.InvalidDicomError,
        OSError,
        EOFError,
        ValueError,
        AttributeError,
        KeyError,
    ) as error:
        raise _unusable(path, f"no DICOM, or a damaged one ({error})") from None


def sorted_slices(files: Sequence[Path]) -> list[Slice]:
    """Return the slices of a series along their normal.

    Raises:
        DataError: As `read_series`.
        MissingPartError: pydicom is not installed.
    """
    slices = [one for path in files for one in slices_of(path)]
    _refuse_mixtures(slices)
    slices.sort(key=lambda one: one.depth)
    _refuse_gaps(slices)
    return slices


def slices_of(path: Path) -> Iterator[Slice]:
    """Yield the slices of a file: one, or one for each frame.

    Raises:
        DataError: The file cannot be read, or its slices have no place.
        MissingPartError: pydicom is not installed.
    """
    data = read_dataset(path, pixels=False)
    if "Rows" not in data or "Columns" not in data:
        what = f"{data.get('Modality', '')} {data.get('SOPClassUID', '')}".strip()
        raise _unusable(path, f"a DICOM file without pixel data ({what})")
    shape, series = (int(data.Rows), int(data.Columns)), str(data.get("SeriesInstanceUID", ""))
    if int(data.get("SamplesPerPixel", 1)) != 1:
        raise _unusable(path, "a colour DICOM; volumes have one value at each voxel")
    for frame in range(int(data.get("NumberOfFrames", 1) or 1)):
        position, axes, steps = _plane(data, frame, path)
        yield Slice(path, frame, position, axes, steps, shape, series)


def _plane(
    data: Any,  # noqa: ANN401 - a pydicom.Dataset
    frame: int,
    path: Path,
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, float]]:
    """Return position, directions and steps of a frame, from its own or the shared groups."""
    own = data.PerFrameFunctionalGroupsSequence[frame] if "PerFrameFunctionalGroupsSequence" in data else data
    shared = data.SharedFunctionalGroupsSequence[0] if "SharedFunctionalGroupsSequence" in data else data

    def find(sequence: str, key: str, count: int) -> tuple[float, ...]:
        for group in (own, shared):
            holder = group[sequence][0] if sequence in group else group
            numbers = _numbers(holder, key, path) if key in holder else ()
            if len(numbers) == count:
                return numbers
            if numbers:
                raise _unusable(path, f"{len(numbers)} numbers of {key}", expected=f"{count}")
        raise _unusable(path, f"no {key}, so the position of the slices is unknown")

    steps = find("PixelMeasuresSequence", "PixelSpacing", 2)
    position = find("PlanePositionSequence", "ImagePositionPatient", 3)
    axes = find("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    normal = np.cross(axes[:3], axes[3:])
    if not np.isfinite([*position, *axes, *steps]).all() or min(*steps, np.abs(normal).max()) < SMALLEST:
        found = f"directions {axes}, steps {steps} mm and position {position}, which span no plane"
        raise _unusable(path, found, expected="directions at right angles, and steps above 0")
    return position, axes, (steps[0], steps[1])


def _numbers(
    data: Any,  # noqa: ANN401 - a pydicom.Dataset
    key: str,
    path: Path,
) -> tuple[float, ...]:
    """Return the numbers of an element; an empty one has none.

    Raises:
        DataError: The element holds something else than numbers.
    """
    try:
        value = data[key].value
        return () if value in (None, "") else tuple(float(number) for number in np.atleast_1d(value))
    except (ValueError, TypeError, OverflowError) as error:
        raise _unusable(path, f"{key} that is no number ({error})") from None


def _pixels(path: Path) -> npt.NDArray[np.float32]:
    """Return (frames, H, W) in rescaled values."""
    data = read_dataset(path)
    stored = decoded(data, path)
    groups = data.SharedFunctionalGroupsSequence[0] if "SharedFunctionalGroupsSequence" in data else data
    is_own = "PixelValueTransformationSequence" not in groups
    rescale = data if is_own else groups.PixelValueTransformationSequence[0]
    slope, intercept = float(rescale.get("RescaleSlope", 1)), float(rescale.get("RescaleIntercept", 0))
    return (stored * slope + intercept).astype(np.float32)


def decoded(data: Any, path: Path) -> npt.NDArray[Any]:  # noqa: ANN401 - a pydicom.Dataset
    """Return the stored pixels of a data set, (frames, H, W).

    Raises:
        DataError: It has none, they are damaged, or no decoder for them is installed.
    """
    if not any(key in data for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise _unusable(path, "a DICOM file without pixel data")
    try:
        stored = np.asarray(data.pixel_array)
    except (RuntimeError, NotImplementedError, ImportError) as error:
        syntax = getattr(data.file_meta.TransferSyntaxUID, "name", "an unknown transfer syntax")
        why = str(error).partition("\n")[0].rstrip(":")
        found = f"{syntax}, which cannot be decoded ({why})"
        raise _unusable(path, found, f"Install the decoders: {DECODERS}") from None
    except (ValueError, AttributeError, EOFError) as error:
        raise _unusable(path, f"damaged pixel data ({error})") from None
    return stored if stored.ndim == 3 else stored[np.newaxis]


def _refuse_mixtures(slices: Sequence[Slice]) -> None:
    """Refuse slices that do not form one volume.

    Raises:
        DataError: They are of two series, or differ in size, direction or spacing.
    """
    series = Counter(one.series for one in slices)
    where = slices[0].path.parent
    if len(series) > 1:
        counts = " and ".join(
            f"{count} slices of {uid or 'no series'}" for uid, count in series.most_common(3)
        )
        raise _unusable(where, f"{len(series)} series: {counts}")
    first = slices[0]
    for one in slices:
        turned = np.abs(np.subtract(one.axes, first.axes)).max() > 1e-3
        if one.shape != first.shape or turned or not np.allclose(one.steps, first.steps, rtol=1e-3):
            found = f"{size_text(one.shape)} pixels, {one.steps} mm, axes {one.axes}"
            expected = (
                f"{size_text(first.shape)} pixels, {first.steps} mm, axes {first.axes}, as {first.path.name}"
            )
            raise _unusable(one.path, found, expected=expected)


def _refuse_too_large(slices: Sequence[Slice]) -> None:
    """Refuse a series that does not fit in memory, by its headers.

    Raises:
        DataError: It does not fit.
    """
    shape = (len(slices), *slices[0].shape)
    needed, free = math.prod(shape) * np.dtype(np.float32).itemsize, available_bytes()
    if needed > free:
        found = f"{size_text(shape)} voxels by its headers, which take {needed / 1e9:.1f} GB as float32"
        fix = "Check the headers; or cut the series to the part that matters."
        expected = f"at most the free memory, {free / 1e9:.1f} GB"
        raise _unusable(slices[0].path.parent, found, fix, expected=expected)


def _refuse_gaps(slices: Sequence[Slice]) -> None:
    """Refuse a series in which a slice is missing, or there twice.

    Raises:
        DataError: A slice is missing or repeated.
    """
    depths = np.array([one.depth for one in slices])
    steps = np.diff(depths)
    if not len(steps):
        return
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # of few steps, a gap may be half
    if steps.min() < 1e-3 * max(usual, 1e-3):
        place = int(steps.argmin())
        twice = f"{slices[place].path.name} and {slices[place + 1].path.name} at the same place"
        raise _unusable(slices[0].path.parent, f"two slices, {twice}: several phases or echoes in one series")
    if steps.max() > MAX_GAP * usual:
        place = int(steps.argmax())
        missing = round(float(steps[place]) / usual) - 1
        between = f"{slices[place].path.name} and {slices[place + 1].path.name}"
        found = f"{steps[place]:.4g} mm between {between}, where {usual:.4g} mm is usual: {missing} missing"
        raise _unusable(slices[0].path.parent, found, "Copy the missing slices, or export the series again.")
    if (np.abs(steps - usual) > MAX_UNEVEN * usual).any():
        found = f"distances of slices from {steps.min():.4g} to {steps.max():.4g} mm"
        fix = "Resample the series to equal distances, in 3D Slicer or with dcm2niix."
        raise _unusable(slices[0].path.parent, found, fix, expected="equal distances")


def _geometry(slices: Sequence[Slice]) -> Geometry:
    first, last = slices[0], slices[-1]
    affine = np.eye(4)
    # A row's direction is that of growing columns; its step is the distance of columns.
    affine[:3, 0] = np.array(first.axes[:3]) * first.steps[1]
    affine[:3, 1] = np.array(first.axes[3:]) * first.steps[0]
    affine[:3, 3] = first.position
    if len(slices) > 1:  # of a tilted gantry, slices are not above each other
        affine[:3, 2] = np.subtract(last.position, first.position) / (len(slices) - 1)
    else:
        affine[:3, 2] = np.cross(first.axes[:3], first.axes[3:])
    affine = reversed_axes(mirrored_left_right_and_front_back(affine))
    return Geometry(spacing_of(affine), affine)


def _unusable(where: Path, found: str, fix: str = _FIX, *, expected: str = "") -> DataError:
    return DataError(
        describe("The DICOM series cannot be read", where=where, found=found, expected=expected, fix=fix)
    )
