"""Rectangles of any angle, as four corners in the order of readers.

Shape legend: P points.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from limner.core.words import Polygon


def rectangle_around(points: npt.NDArray[Any]) -> Polygon:
    """Return the rectangle of any angle with the smallest area around points (P, 2), as `reading_order`."""
    return reading_order(cv2.boxPoints(cv2.minAreaRect(points.astype(np.float32))).astype(np.float64))


def reading_order(corners: Polygon) -> Polygon:
    """Return four corners as top left, top right, bottom right, bottom left."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    (top_left, bottom_left), (top_right, bottom_right) = (
        pair[np.argsort(pair[:, 1], kind="stable")] for pair in (by_x[:2], by_x[2:])
    )
    return np.array([top_left, top_right, bottom_right, bottom_left])
