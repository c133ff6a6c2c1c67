"""A volume with its prediction as a film through its slices, in an animated GIF.

Shape legend: D, H, W axes of a volume, C channels, h, w size of a frame.
"""

import io
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from scipy.spatial import cKDTree

from limner.core.labels import LabelArray, LabelTable
from limner.core.picture import Image
from limner.drawing.colors import class_colors, class_keys, overlay
from limner.drawing.display import RGBImage, display_image, resize_nearest, resize_picture, tones_of
from limner.drawing.panels import Panel, side_by_side

PANEL_SIDE = 256
"""Longer side of each panel in pixels."""

MOST_FRAMES = 120
"""Maximum number of frames; of more slices, evenly spaced ones are shown."""

SECONDS_PER_FRAME = 0.12

MOST_EXACT = 128
"""Maximum number of class colours that a GIF, which has 256, keeps as they are."""


def animation_frames(
    image: Image,
    predicted: LabelArray,
    table: LabelTable,
    *,
    truth: LabelArray | None = None,
    spacing_mm: Sequence[float] | None = None,
    title: str = "",
) -> Iterator[RGBImage]:
    """Yield slice after slice of the first axis: image, truth and prediction side by side.

    All frames have the same grey values and the same size.

    Args:
        image: (D, H, W, C).
        predicted: (D, H, W) trained labels.
        table: The classes.
        truth: (D, H, W) true labels, or None.
        spacing_mm: Distance between voxels along each axis; pixels are square then.
        title: Start of the title of each frame.
    """
    size = _panel_size(image.shape[1:3], (spacing_mm or (1.0, 1.0, 1.0))[1:])
    tones = tones_of(image.reshape(-1, *image.shape[2:]))
    legend = class_keys(table, *(labels for labels in (truth, predicted) if labels is not None))
    for place in _places(len(image)):
        picture = resize_picture(display_image(image[place], tones), size)
        panels = [Panel("image", picture)]
        if truth is not None:
            panels.append(Panel("truth", overlay(picture, resize_nearest(truth[place], size), table)))
        panels.append(Panel("prediction", overlay(picture, resize_nearest(predicted[place], size), table)))
        counted = f"slice {place + 1} of {len(image)}"
        yield side_by_side(panels, title=f"{title}, {counted}" if title else counted, legend=legend)


def encode_gif(frames: Iterator[RGBImage], table: LabelTable) -> bytes:
    """Encode frames of one size as an animated GIF that repeats, with one palette for all.

    Args:
        frames: At least one (h, w, 3).
        table: The classes, whose colours are kept as they are.
    """
    pictures = [*frames]
    palette = _common_palette(pictures, [*class_colors(table).values()][:MOST_EXACT])
    reduced = [_in_palette(picture, palette) for picture in pictures]
    file = io.BytesIO()
    reduced[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=reduced[1:],
        duration=round(1000 * SECONDS_PER_FRAME),
        loop=0,
    )
    return file.getvalue()


def _common_palette(pictures: Sequence[RGBImage], exact: Sequence[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """Return (256, 3) colours: some exactly, and those of a few frames, so that greys do not flicker."""
    some = np.concatenate([pictures[place] for place in _places(len(pictures), most=8)])
    found = PILImage.fromarray(some).quantize(256 - len(exact), dither=PILImage.Dither.NONE).getpalette()
    colors = np.zeros((256, 3), np.uint8)
    colors[: len(exact)] = np.reshape(exact, (-1, 3))
    others = np.reshape(found or [], (-1, 3))[: 256 - len(exact)]
    colors[len(exact) : len(exact) + len(others)] = others
    return colors


def _in_palette(picture: RGBImage, palette: NDArray[np.uint8]) -> PILImage.Image:
    """Return a picture with the nearest colour of the palette at each pixel."""
    colors, of_pixel = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
    nearest = cKDTree(palette.astype(float)).query(colors)[1].astype(np.uint8)
    reduced = PILImage.fromarray(nearest[of_pixel].reshape(picture.shape[:2]), "P")
    reduced.putpalette(palette.tobytes())
    return reduced


def _panel_size(shape: Sequence[int], spacing: Sequence[float]) -> tuple[int, int]:
    """Return the size (h, w) of a panel with square pixels."""
    height, width = (side * step for side, step in zip(shape, spacing, strict=True))
    factor = PANEL_SIDE / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _places(count: int, most: int = MOST_FRAMES) -> list[int]:
    """Return up to `most` evenly spaced indices."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(count, most)).round())]
