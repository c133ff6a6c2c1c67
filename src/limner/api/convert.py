"""`limner.convert()`: conversion of a dataset to another format."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.core.errors import UnknownNameError
from limner.core.progress import Track, silent
from limner.core.sample import Record
from limner.datasets.checked import check_dataset
from limner.datasets.conversion import Conversion, free_folder, plan_conversion, unique_stems
from limner.datasets.conversion_losses import Loss, conversion_losses, refuse_losses
from limner.formats import WRITERS
from limner.formats.public.class_tables import renumbered
from limner.images.volumes.volume_writing import SUFFIXES as VOLUME_SUFFIXES_WRITTEN
from limner.storage.file_states import state_of
from limner.storage.filled_folder import Request, filled_folder
from limner.storage.user_paths import user_path


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
    suffix: str | None = None,
    resume: bool = False,
    workers: int | None = None,
    track: Track = silent,
) -> Converted:
    """Write a dataset in another format; the source is not changed.

    Label maps are written as trained labels, 0 to K-1, and 255 for ignored pixels (in 16 bits and 65535 for
    more than 255 classes); objects keep their shapes if the format supports them. Images are copied byte for
    byte; classes, colours and the splits of the source are included.

    Args:
        source: The dataset folder.
        target: A new or empty folder; ``limner-unfinished.jsonl`` is in it until it is complete.
        to: A name in `WRITERS`.
        lossy: Convert even if information is lost.
        mend: Accept the proposals of `check`, and omit unreadable files and exact duplicates of images
            and objects.
        suffix: Suffix of written volumes, such as ``.nrrd``; None keeps that of each.
        resume: Continue a conversion that was interrupted; its result is as if it had not been.
        workers: Number of reading threads.
        track: Shows progress.

    Raises:
        DataError: The source cannot be read or has unresolved findings, the target is not empty, or
            information would be lost and `lossy` is False; in this case nothing is written.
        ConfigError: `resume`, but the source or the arguments have changed since.
        WriteError: The folder cannot be written, or the disk is full; `resume` continues.
        UnknownNameError: The format is unknown.
    """
    if to not in WRITERS:
        raise UnknownNameError("format to write", to, WRITERS)
    if suffix is not None and suffix not in VOLUME_SUFFIXES_WRITTEN:
        raise UnknownNameError("suffix of volumes to write", suffix, VOLUME_SUFFIXES_WRITTEN)
    source, target = user_path(source), user_path(target)
    root = free_folder(target, source, resume=resume)
    checked = check_dataset(source, workers=workers, track=track)
    conversion = plan_conversion(checked, WRITERS[to](), clean=mend, volume_suffix=suffix or "")
    losses = conversion_losses(conversion)
    if not lossy:
        refuse_losses(losses, to, clean=mend)
    left_out = {file for loss in losses if loss.becomes == "left out" for file in loss.files}
    records = [r for r in conversion.source.records if conversion.file_of(r) not in left_out]
    request = Request(_asked(conversion, records), resume=resume)
    stems, labels, writer = unique_stems(records), renumbered(conversion.table), conversion.writer
    with filled_folder(root, by="convert", request=request, is_shared=False) as filled:
        for stem, record in track(zip(stems, records, strict=True), "writing images", len(records)):
            if not filled.has(stem):
                filled.add(stem, writer.write_image(root, conversion.outgoing(record, stem), labels))
        writer.finish(root, filled.entries(stems), labels)
    return Converted(root, to, len(records), sum(bool(r.labels) for r in records), tuple(losses))


def _asked(conversion: Conversion, records: Sequence[Record]) -> dict[str, str]:
    """Return what must be equal to continue a conversion."""
    source = conversion.source
    names = [(conversion.file_of(record), conversion.split_of(record)) for record in records]
    files = {file for record in records for file in record.files}
    told = json.dumps([names, conversion.table.to_dict(), source.settings.model_dump(mode="json")])
    return {
        "source": str(source.root.resolve()),
        "format": conversion.writer.name,
        "options": f"{'--mend' if conversion.clean else 'no --mend'} {conversion.volume_suffix}".strip(),
        "content": f"{len(records)} images, state {state_of(files, told)}",
    }
