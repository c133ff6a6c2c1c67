"""`limner.browse()`: images with their labels on one sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.core.progress import Track, silent
from limner.datasets.checked import check_dataset
from limner.datasets.chosen_images import By, ImageChoice, chosen_images
from limner.datasets.gallery import gallery_of
from limner.drawing.colors import class_keys
from limner.drawing.display import RGBImage
from limner.drawing.grid import Row, sheet
from limner.drawing.png import save_picture
from limner.storage.output_folder import refuse_inside
from limner.storage.own_outputs import refuse_taken_file


@dataclass(frozen=True)
class Browsed:
    """Result of `browse`.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        images: Names of the images, from left to right and top to bottom.
        path: The written file, or None.
    """

    picture: RGBImage
    images: tuple[str, ...]
    path: Path | None


def browse(
    path: Path | str,
    *,
    out: Path | str | None = None,
    by: By = "random",
    images: int = 12,
    classes: Sequence[str] = (),
    split: str | None = None,
    seed: int = 0,
    palette: str = "own",
    side: int = 300,
    columns: int = 4,
    workers: int | None = None,
    track: Track = silent,
) -> Browsed:
    """Draw images with their labels on one sheet, with a legend.

    Args:
        path: The dataset folder.
        out: The PNG to write; None writes none.
        by: ``random`` images; a row for each ``class`` or ``split``; or the ``worst``, those in findings.
        images: Number of images; with a row per class or split, in each row.
        classes: Only images with one of these classes.
        split: Only images of this split.
        seed: Random seed; the same seed selects the same images.
        palette: A name in `PALETTES`, or a file of names and colours.
        side: Pixels of the longer side of each picture.
        columns: Number of columns.
        workers: Number of reading threads.
        track: Shows progress.

    Raises:
        DataError: The folder cannot be read, or the meaning of its mask values is unknown.
        ConfigError: A class, split or palette is unknown.
    """
    if out is not None:
        refuse_taken_file(out, by="browse")
        refuse_inside(out, path)
    gallery = gallery_of(check_dataset(Path(path), workers=workers, track=track), palette=palette, side=side)
    chosen = chosen_images(gallery, ImageChoice(by, images, classes, split, seed))
    drawn = [(heading, [gallery.panel(record) for record in records]) for heading, records in chosen]
    rows = [Row(heading, tuple(panel for panel, _ in panels)) for heading, panels in drawn]
    shown = [labels for _, panels in drawn for _, labels in panels if labels is not None]
    columns = max(1, min(columns, max(len(row.panels) for row in rows)))
    legend = class_keys(gallery.table, *shown)
    picture = sheet(rows, columns=columns, side=side, title=str(gallery.checked.source.root), legend=legend)
    names = tuple(record.name for _, records in chosen for record in records)
    return Browsed(picture, names, save_picture(picture, out))
