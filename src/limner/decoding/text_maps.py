"""Decoding of text maps to the words of one image.

Paper: Real-time Scene Text Detection with Differentiable Binarization (Liao et al., AAAI 2020),
https://arxiv.org/abs/1911.08947, section 3.5: the cores are the regions with a probability above a threshold;
each is grown by D = A r / L, with its area A and perimeter L. Authors' code: https://github.com/MhLiao/DB
(Apache-2.0 licence), whose numbers are used.

What differs, and why: a rectangle grown with round corners has a bounding rectangle that is known in advance,
so that boxes need no polygon clipping; and outlines go through the middles of pixels, which are at 0.5.

Shape legend: H and W height and width of the map.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import expit

from limner.core.plan import WordOutlines
from limner.core.prediction import WordPrediction
from limner.core.words import Polygon
from limner.decoding.network_arrays import ArrayRuns, ArrayView, QueryArrays
from limner.decoding.pixel_arrays import joined_parts, resized_rows
from limner.geometry.rectangles import reading_order

CORE_THRESHOLD, SCORE_THRESHOLD = 0.3, 0.6
"""Probability above which a pixel is in a core (authors' `thresh`); minimum mean of a core (`box_thresh`: 0.6
in their commands for ICDAR 2015)."""

MOST_CORES = 1000
"""Maximum number of regions that are looked at (authors' `max_candidates`)."""

GROWTH = {"boxes": 1.5, "polygons": 2.0}
"""r of D = A r / L (authors' `unclip_ratio`)."""

SHORTEST_CORE, SHORTEST_WORD = 3.0, 5.0
"""Minimum of the shorter side of the rectangle around a core, and around a word, in pixels of the map."""

SIMPLIFICATION = 0.01
"""Maximum distance of a polygon from the border of its core, as a fraction of the core's perimeter."""

Map = npt.NDArray[np.float32]


def mean_probability_array(runs: ArrayRuns) -> Map:
    """Return the same as `text_probabilities.mean_probabilities`, of an exported network without PyTorch."""
    if runs.fits_in_one_pass:
        (view,) = runs.views()
        return np.asarray(expit(_logits_of(view)))
    whole = slice(0, runs.size[0])
    views = [
        expit(resized_rows(_logits_of(v)[np.newaxis, np.newaxis], runs.size, whole)[0]) for v in runs.views()
    ]
    return np.asarray(np.mean(views, 0), np.float32)


def _logits_of(view: ArrayView) -> Map:
    """Return the logits (H, W) of one view, its parts joined, mirrored back."""
    maps = joined_parts(view)
    assert not isinstance(maps, QueryArrays), "text has maps of pixels"
    return np.flip(maps[0, 0], view.flipped)


def find_words(
    probabilities: Map,
    size: Sequence[int],
    *,
    name: str,
    outlines: WordOutlines = "boxes",
    least_score: float = SCORE_THRESHOLD,
    growth: float | None = None,
) -> WordPrediction:
    """Return the words of one image, highest score first.

    Args:
        probabilities: (H, W) probability that a pixel is in a core.
        size: Height and width of the image, whose pixels the outlines are in.
        name: Name of the image.
        outlines: Form of the outlines.
        least_score: Minimum score.
        growth: r; defaults to that of `GROWTH`.
    """
    growth = GROWTH[outlines] if growth is None else growth
    is_core = (probabilities > CORE_THRESHOLD).astype(np.uint8)
    borders, _ = cv2.findContours(is_core, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    word_of = _box_of if outlines == "boxes" else _polygon_of
    words = (word_of(np.asarray(border), probabilities, growth) for border in borders[:MOST_CORES])
    found = [word for word in words if word is not None]
    found = sorted((word for word in found if word[1] >= least_score), key=lambda word: -word[1])
    height, width = probabilities.shape
    scale = np.array([size[1] / width, size[0] / height])
    polygons = tuple(_inside((polygon + 0.5) * scale, size) for polygon, _ in found)
    return WordPrediction(name, polygons, np.array([score for _, score in found], np.float32))


_Word = tuple[Polygon, float]
"""Outline, with pixel 0 at 0, and score."""


def _box_of(border: npt.NDArray[Any], probabilities: Map, growth: float) -> _Word | None:
    """Return the rectangle around a core, grown; None if it is too small."""
    middle, (width, height), angle = cv2.minAreaRect(border)
    if min(width, height) < SHORTEST_CORE:
        return None
    score = _mean_inside(probabilities, cv2.boxPoints((middle, (width, height), angle)))
    distance = width * height * growth / (2 * (width + height))
    sides = width + 2 * distance, height + 2 * distance
    if min(sides) < SHORTEST_WORD:
        return None
    return reading_order(cv2.boxPoints((middle, sides, angle)).astype(np.float64)), score


def _polygon_of(border: npt.NDArray[Any], probabilities: Map, growth: float) -> _Word | None:
    """Return the simplified border of a core, grown; None if it is too small."""
    from limner.geometry.polygon_shapes import area_and_length, grown  # shapely takes a while to import

    points = cv2.approxPolyDP(border, SIMPLIFICATION * cv2.arcLength(border, True), True).reshape(-1, 2)
    if len(points) < 4:
        return None
    score = _mean_inside(probabilities, points.astype(np.float32))
    area, length = area_and_length(points.astype(np.float64))
    if area == 0:
        return None
    outline = grown(points.astype(np.float64), area * growth / length)
    if min(cv2.minAreaRect(outline.astype(np.float32))[1]) < SHORTEST_WORD:
        return None
    return outline, score


def _mean_inside(probabilities: Map, polygon: npt.NDArray[Any]) -> float:
    """Return the mean probability of the pixels in a polygon, of which those on its border are part."""
    height, width = probabilities.shape
    left, top = np.clip(np.floor(polygon.min(0)), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(polygon.max(0)), 0, (width - 1, height - 1)).astype(int)
    inside = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(inside, [(polygon - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(probabilities[top : bottom + 1, left : right + 1], inside)[0])


def _inside(polygon: Polygon, size: Sequence[int]) -> Polygon:
    return np.clip(polygon, 0, (size[1], size[0]))
