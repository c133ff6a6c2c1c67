"""Predictions of other programs: index masks in a folder, named like the images."""

from collections import defaultdict
from pathlib import Path, PurePosixPath

from limner.core.affine import grid_difference
from limner.core.errors import DataError, describe
from limner.core.labels import LabelTable
from limner.core.prediction import SemanticPrediction
from limner.core.sample import Sample, axes_text, size_text
from limner.core.wording import element
from limner.images.file_names import VOLUME_SUFFIXES, image_suffix, without_suffix
from limner.images.masks import read_values
from limner.images.pixels import read_header

SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".npy", *sorted(VOLUME_SUFFIXES))
"""Suffixes of masks; JPEG is excluded, since it changes values."""


def _refuse_other_grid(path: Path, sample: Sample) -> None:
    """Refuse a predicted volume that is not on the grid of its image.

    Raises:
        DataError: Spacing, orientation or origin differ.
    """
    found = read_header(path).geometry
    if difference := grid_difference(sample.geometry, found, sample.spatial_shape):
        raise DataError(
            describe(
                "A predicted mask is not on the grid of its image",
                where=path,
                found=difference,
                expected="the axes, spacing and origin of the image",
                fix="Resample it to the grid of its image (nearest neighbour), or copy the header of the "
                "image if only that is wrong.",
            )
        )


class PredictedMasks:
    """Finds and reads the predicted mask of an image.

    Args:
        folder: Folder with the masks, at any depth; may be the output folder of `limner predict`.
        labels: The label table, with the same mask values as the true masks.

    Raises:
        DataError: There is no mask in the folder.
    """

    def __init__(self, folder: Path, labels: LabelTable) -> None:
        inside = folder / "masks"
        self.folder = inside if inside.is_dir() else folder
        self.labels = labels
        self._by_path: dict[str, Path] = {}
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.folder.rglob("*")):
            if image_suffix(path.name) in SUFFIXES and path.is_file():
                bare = without_suffix(path.relative_to(self.folder))
                self._by_path[bare.as_posix()] = path
                self._by_stem[bare.name].append(path)
        if not self._by_path:
            raise DataError(
                describe(
                    "No predicted masks found",
                    where=folder,
                    found="a folder without masks" if folder.is_dir() else "no such folder",
                    expected=f"index masks named like the images ({', '.join(SUFFIXES)})",
                )
            )

    def predict(self, sample: Sample) -> SemanticPrediction:
        """Read the prediction for an image.

        Raises:
            DataError: There is no mask of that name, or several, or it does not match the image or labels.
        """
        path = self._find(sample.name)
        values = read_values(path, self.labels.encoding)
        what = element(values.ndim)
        if values.shape != sample.spatial_shape:
            raise DataError(
                describe(
                    "A predicted mask and its image differ in size",
                    where=path,
                    found=f"{size_text(values.shape)} {what}s ({axes_text(values.shape)})",
                    expected=size_text(sample.spatial_shape),
                    fix="Resize predictions to the image's size (nearest neighbour) before saving them.",
                )
            )
        if values.ndim == 3:
            _refuse_other_grid(path, sample)
        labels = self.labels.encode(values, where=str(path))
        if labels.max(initial=0) >= self.labels.num_classes:
            raise DataError(
                describe(
                    f"A predicted mask contains {what}s without a class",
                    where=path,
                    found=f"an ignored value: one of {list(self.labels.ignored_values)}",
                    expected=f"one of {', '.join(self.labels.names)} at every {what}",
                )
            )
        return SemanticPrediction(sample.name, labels)

    def _find(self, name: str) -> Path:
        """Return the file at the image's path, or else the only one with its file name."""
        if name in self._by_path:
            return self._by_path[name]
        alike = self._by_stem.get(PurePosixPath(name).name, [])
        if len(alike) == 1:
            return alike[0]
        found = "several: " + ", ".join(map(str, alike[:3])) if alike else "no such file"
        raise DataError(
            describe(
                "Expected exactly one predicted mask for each image",
                where=self.folder,
                found=found,
                expected=f"{name}.png",
                fix="Name each predicted mask like its image, in the same subfolders as the images.",
            )
        )
