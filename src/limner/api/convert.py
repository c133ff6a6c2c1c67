"""`limner.convert()`: conversion of a dataset to another format."""

from dataclasses import dataclass
from pathlib import Path

from limner.core.errors import DataError, UnknownNameError, describe
from limner.core.progress import Track, silent
from limner.datasets.checked import check_dataset
from limner.datasets.conversion import free_folder, plan_conversion
from limner.datasets.conversion_losses import Loss, conversion_losses, refuse_losses
from limner.formats import WRITERS
from limner.formats.public.class_tables import renumbered


@dataclass(frozen=True)
class Converted:
    """Result of a conversion.

    Attributes:
        path: The new folder.
        format: Name of its format.
        num_images: Number of images.
        num_masks: Number of labelled images.
        losses: Information that could not be converted.
    """

    path: Path
    format: str
    num_images: int
    num_masks: int
    losses: tuple[Loss, ...]


def convert(
    source: Path | str,
    target: Path | str,
    *,
    to: str,
    lossy: bool = False,
    mend: bool = False,
    workers: int | None = None,
    track: Track = silent,
) -> Converted:
    """Write a dataset in another format; the source is not changed.

    Label maps are written as trained labels, 0 to K-1, and 255 for ignored pixels (in 16 bits and 65535 for
    more than 255 classes); objects keep their shapes if the format supports them. Images are copied byte for
    byte; classes, colours and the splits of the source are included.

    Args:
        source: The dataset folder.
        target: A new or empty folder.
        to: A name in `WRITERS`.
        lossy: Convert even if information is lost.
        mend: Accept the proposals of `check`, and omit unreadable files and exact duplicates of images
            and objects.
        workers: Number of reading threads.
        track: Shows progress.

    Raises:
        DataError: The source cannot be read or has unresolved findings, the target is not empty, or
            information would be lost and `lossy` is False; in this case nothing is written.
        UnknownNameError: The format is unknown.
    """
    if to not in WRITERS:
        raise UnknownNameError("format to write", to, WRITERS)
    root = free_folder(Path(target), Path(source))
    checked = check_dataset(Path(source), workers=workers, track=track)
    conversion = plan_conversion(checked, WRITERS[to](), clean=mend)
    losses = conversion_losses(conversion)
    if not lossy:
        refuse_losses(losses, to, clean=mend)
    left_out = {file for loss in losses if loss.becomes == "left out" for file in loss.files}
    records = [r for r in conversion.source.records if conversion.file_of(r) not in left_out]
    images = track(conversion.images(records), "writing images", len(records))
    try:
        root.mkdir(parents=True, exist_ok=True)
        conversion.writer.write(root, images, renumbered(conversion.table))
    except OSError as error:
        raise DataError(
            describe("The folder cannot be written", where=root, found=error.strerror or str(error))
        ) from None
    return Converted(root, to, len(records), sum(bool(r.labels) for r in records), tuple(losses))
