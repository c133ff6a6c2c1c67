"""The picture of a volume with its prediction and its truth."""

import numpy as np
import numpy.typing as npt

from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Geometry, Image
from limner.drawing.display import RGBImage, tones_of
from limner.drawing.volume_comparison import IN_A_ROW, Plane, volume_comparison
from limner.transforms.orthogonal_views import OrthogonalViews

NUM_SLICES = 3 * IN_A_ROW
"""Maximum number of slices in the montage."""


def draw_volume(
    image: Image,
    predicted: LabelArray,
    truth: LabelArray | None,
    table: LabelTable,
    geometry: Geometry,
    *,
    title: str = "",
) -> RGBImage:
    """Draw three views of a volume through most of its foreground, and slices from end to end of it.

    Args:
        image: (D, H, W, C) of any number type.
        predicted: (D, H, W) trained labels.
        truth: (D, H, W), or None if unknown.
        table: The classes.
        geometry: Position of the volume; without one, views are named after the axes.
        title: Title line at the top.
    """
    known = predicted if truth is None else truth
    foreground = _foreground(known, table)
    if not foreground.any():
        foreground = _foreground(predicted, table)
    views = OrthogonalViews(geometry, predicted.shape, foreground)
    images, found = views.of_image(image), views.of_labels(predicted)
    true: list[LabelArray | None] = [None] * 3 if truth is None else [*views.of_labels(truth)]
    cuts = views.montage(foreground | _foreground(predicted, table), NUM_SLICES)
    true_slices: list[LabelArray | None] = [None] * len(cuts)
    if truth is not None:
        true_slices = [*views.of_labels(truth, cuts)]
    titles = [f"slice {views.stored_place(cut)}" for cut in cuts]
    drawn = views.of_image(image, cuts), views.of_labels(predicted, cuts), true_slices
    slices = zip(titles, *drawn, strict=True)
    return volume_comparison(
        [Plane(*parts) for parts in zip(views.names, images, found, true, strict=True)],
        [Plane(*parts) for parts in slices],
        table,
        tones=tones_of(image.reshape(-1, *image.shape[2:])),
        title=title,
    )


def _foreground(labels: LabelArray, table: LabelTable) -> npt.NDArray[np.bool_]:
    """Return where a class other than the background is; without a background, everything labelled."""
    known = labels != table.ignore_index
    if table.background_index is not None:
        known &= labels != table.background_index
    return np.asarray(known)
