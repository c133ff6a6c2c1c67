"""`limner.convert()`: a labelled folder in one format, written in another."""

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
    """What was written.

    Attributes:
        path: The new folder.
        format: Its format.
        num_images: Images in it.
        num_masks: Masks in it.
        losses: What could not be carried over.
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
    """Write a labelled folder in another format; the source is only read.

    Label maps are written as trained labels, 0 to K-1, and 255 where nothing is scored; objects as they were
    drawn, wherever the format has such shapes. Images are copied byte for byte; classes with their colours,
    and splits that the source lays down, go with them.

    Args:
        source: The dataset folder.
        target: A folder that is not there yet, or empty.
        to: A name in `WRITERS`.
        lossy: Convert although something cannot be carried over.
        mend: Take the proposals of `check` for settled, and leave out what cannot be read and exact copies,
            of pictures and of objects.
        workers: Reading threads.
        track: Shows the progress.

    Raises:
        DataError: The source cannot be read or has open questions, the target holds something, or the format
            cannot hold everything and `lossy` is False; nothing is written then.
        UnknownNameError: There is no such format.
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
