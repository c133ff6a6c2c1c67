"""Heat map overlays."""

import cv2
import numpy as np
import numpy.typing as npt

from limner.drawing.display import RGBImage


def heat_overlay(
    image: RGBImage,
    heat: npt.NDArray[np.float32],
    *,
    target: npt.NDArray[np.bool_] | None = None,
    opacity: float = 0.6,
) -> RGBImage:
    """Overlay a heat map on the greyscale picture; opacity grows with the heat; the target is outlined.

    Args:
        image: (H, W, 3) uint8.
        heat: (H, W) from 0 to 1.
        target: (H, W) the pixels that are explained.
        opacity: Opacity where the heat is 1.
    """
    grey = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1)
    colors = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    part = opacity * np.sqrt(heat)[..., None]
    drawn = np.rint(grey * (1 - part) + colors * part).astype(np.uint8)
    if target is not None:
        mask = target.astype(np.uint8)
        edge = cv2.dilate(mask, np.ones((3, 3), np.uint8)) != mask
        drawn[edge] = 255
    return np.asarray(drawn)
