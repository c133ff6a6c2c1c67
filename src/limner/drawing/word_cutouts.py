"""Words cut out of an image and set upright, as programs that read words take them."""

import cv2
import numpy as np

from limner.core.words import Polygon
from limner.drawing.display import RGBImage
from limner.geometry.rectangles import rectangle_around


def cut_out(image: RGBImage, word: Polygon) -> RGBImage:
    """Return the upright image of a word, of at least 1 x 1 pixels.

    Four corners are mapped to those of the result, which undoes perspective; around other outlines it is the
    smallest rectangle.

    Args:
        image: (H, W, 3) uint8.
        word: Outline in its pixels; of four corners, the first is the word's top left.
    """
    corners = word if len(word) == 4 else rectangle_around(word)
    top, right, bottom, left = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    width, height = max(1, round(max(top, bottom))), max(1, round(max(left, right)))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    # OpenCV has the middle of pixel 0 at 0 instead of 0.5.
    matrix = cv2.getPerspectiveTransform((corners - 0.5).astype(np.float32), target - 0.5)
    upright = cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(upright, np.uint8)
