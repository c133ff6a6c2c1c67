"""Corrected predictions, kept as a dataset of images and masks that limner checks and trains on.

FOLDER/
dataset.yaml     the classes of the model
images/NAME.jpg  the image as it was sent
masks/NAME.png   the corrected classes, in the values of the model's own masks
"""

import filecmp
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from limner.core.dataset_file import FILE_NAME
from limner.core.errors import ConfigError, DataError, describe
from limner.core.labels import LabelArray, LabelTable
from limner.core.sample import size_text
from limner.formats.dataset_yaml import read_dataset_file, write_dataset_file
from limner.formats.pairs.paired_folders import PairedFolders
from limner.images.file_names import image_stem
from limner.images.headers import ImageHeader
from limner.images.masks import encode_values, read_values
from limner.images.read_image import image_header
from limner.serving.refusal import Refusal
from limner.serving.served_models import ServedModel
from limner.serving.uploads import Upload, safe_stem
from limner.storage.filled_folder import is_of_a_kill
from limner.storage.folder_lock import locked_folder
from limner.storage.output_folder import make_output_folder, numbered_places, refuse_unwritable
from limner.storage.whole_files import is_leftover, remove_file, remove_leftovers, written_aside

IMAGES, MASKS = "images", "masks"

SUFFIX_OF = {
    **{"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "WebP": ".webp", "GIF": ".gif"},
    **{"Netpbm": ".ppm", "NPY": ".npy", "JPEG 2000": ".jp2", "AVIF": ".avif", "HEIC": ".heic"},
}
"""Kind of an image file -> suffix under which it is kept, whatever its name said."""


@dataclass(frozen=True)
class Corrections:
    """The folder of corrected predictions.

    Attributes:
        folder: The folder, which need not exist yet.
    """

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def refuse_unsuitable(self, models: Iterable[ServedModel]) -> None:
        """Refuse a folder with other things, and models without label maps, before the server starts.

        Raises:
            ConfigError: No model has label maps that can be corrected.
            DataError: The folder has other files, or cannot be written.
        """
        if not any(model.is_correctable for model in models):
            raise ConfigError("--keep is for corrected label maps of images; no model has them. Omit --keep.")
        present = list(self.folder.iterdir()) if self.folder.is_dir() else []
        others = sorted(path.name for path in present if not is_of_a_kill(path))
        if others and not (self.folder / FILE_NAME).is_file():
            raise DataError(
                describe(
                    "The folder for corrections has other files",
                    where=self.folder,
                    found=", ".join(others[:5]),
                    expected="a new folder, or one with earlier corrections",
                    fix="Choose another folder.",
                )
            )
        refuse_unwritable(self.folder / FILE_NAME)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, so that no other server writes to it, and remove temporary files of a killed one.

        Raises:
            ConfigError: Another server keeps corrections there.
            DataError: The folder cannot be created.
            WriteError: The disk is full, read-only or failing.
        """
        make_output_folder(self.folder)
        with locked_folder(self.folder, what="limner serve --keep"):
            remove_leftovers(self.folder)
            yield

    def save(self, model: ServedModel, image: Upload, labels: Upload, *, replace: bool) -> dict[str, Any]:
        """Keep an image and its corrected labels.

        Args:
            model: The model that predicted it.
            image: The image, as it was predicted.
            labels: A PNG of the image's size whose values are the numbers of the model's classes from 0.
            replace: Whether to replace an image of this name and its labels.

        Returns:
            Where both are, relative to the folder, and how many images are there now.

        Raises:
            DataError: The image or its labels cannot be read.
            Refusal: The model has no label maps, the labels do not fit, or the name is taken.
            WriteError: The disk is full, read-only or failing.
        """
        if not model.is_correctable:
            raise Refusal(
                400,
                f"Predictions of the model {model.name!r} cannot be corrected",
                found=f"a model of {model.predictor.task.title}",
                expected="a model of label maps of images, of at most 255 classes",
            )
        table, header = model.predictor.labels, image_header(image.path)
        corrected = _class_numbers(labels, header, table)
        with self._lock:
            self._refuse_other_classes(table)
            stem = safe_stem(image_stem(image.name))
            kept = self.folder / IMAGES / f"{stem}{SUFFIX_OF[header.container]}"
            mask = self.folder / MASKS / f"{stem}.png"
            present = self._files(stem)
            is_same = kept in present and filecmp.cmp(kept, image.path, shallow=False)
            is_replaced = bool(present) and not (is_same and present == [kept])  # alone after a kill
            if is_replaced and not replace:
                raise self._taken(stem, present)
            if not (self.folder / FILE_NAME).is_file():
                write_dataset_file(self.folder, {"format": PairedFolders.name, **table.to_dict()})
            with written_aside(mask, durable=True) as aside:
                aside.write_bytes(encode_values(table.decode(corrected), table.encoding, where=mask))
                if not is_same:
                    _replace_image(kept, image.path, present)
            return {
                "image": f"{IMAGES}/{kept.name}",
                "mask": f"{MASKS}/{mask.name}",
                "is_replaced": is_replaced,
                "num_images": sum(not is_leftover(path) for path in (self.folder / IMAGES).iterdir()),
            }

    def _files(self, stem: str) -> list[Path]:
        """Return the image and the mask of this stem, as far as they exist; capitals do not count."""
        return [
            path
            for name in (IMAGES, MASKS)
            if (self.folder / name).is_dir()
            for path in sorted((self.folder / name).iterdir())
            if image_stem(path.name).casefold() == stem.casefold()
        ]

    def _taken(self, stem: str, files: list[Path]) -> Refusal:
        free = next(place.name for place in numbered_places(Path(stem)) if not self._files(place.name))
        return Refusal(
            409,
            f"There is a correction named {stem!r}",
            found=", ".join(path.relative_to(self.folder).as_posix() for path in files),
            expected=f"another name, such as {free}",
            fix="Send the image under another name, or ?replace=true to replace the earlier correction.",
        )

    def _refuse_other_classes(self, table: LabelTable) -> None:
        """Refuse labels of other classes than those in the folder.

        Raises:
            Refusal: Names, values or encoding differ.
        """
        if not (self.folder / FILE_NAME).is_file():
            return
        kept = read_dataset_file(self.folder).label_table()
        if kept is None or _meaning(kept) != _meaning(table):
            raise Refusal(
                409,
                "The corrections in the folder and the model have different classes",
                found="no classes" if kept is None else ", ".join(kept.names),
                expected=", ".join(table.names),
                fix="Start the server with another folder: --keep FOLDER",
            )


def _replace_image(kept: Path, image: Path, present: Iterable[Path]) -> None:
    """Write an image after removing the earlier labels, so that a kill never leaves it with those of another.

    Args:
        kept: The image to write.
        image: The file to copy.
        present: The earlier image and its labels, as far as they exist.
    """
    with written_aside(kept, durable=True) as aside:
        shutil.copyfile(image, aside)
        for path in sorted(present, key=lambda path: path.parent.name != MASKS):
            if path != kept:
                remove_file(path)


def _meaning(table: LabelTable) -> Any:  # noqa: ANN401 - compared only
    """Return what masks mean: names, values and encoding, but not colours."""
    return [(one.name, one.values) for one in table.classes], table.ignored_values, table.encoding


def _class_numbers(labels: Upload, header: ImageHeader, table: LabelTable) -> LabelArray:
    """Read class numbers of an image.

    Raises:
        DataError: The file cannot be read, or is in colour.
        Refusal: Another size than the image's, or a number without a class.
    """
    numbers = read_values(labels.path)
    if numbers.shape != header.shape:
        raise Refusal(
            422,
            "The labels and the image differ in size",
            found=f"{size_text(numbers.shape)} pixels",
            expected=f"{size_text(header.shape)} pixels",
        )
    largest = int(numbers.max())
    if largest >= table.num_classes:
        raise Refusal(
            422,
            "The labels have numbers without a class",
            found=f"numbers up to {largest}",
            expected=f"0 to {table.num_classes - 1}: " + ", ".join(table.names),
            fix="Send the numbers of the classes (`index` in GET /models), not the values of masks.",
        )
    trained: LabelArray = numbers.astype(np.uint8)
    return trained
