"""Slope and intercept, by which files store other numbers than they mean."""

from typing import Any

import numpy as np
import numpy.typing as npt


def scaled(stored: npt.NDArray[Any], scaling: tuple[float, float] | None) -> npt.NDArray[Any]:
    """Return ``slope * stored + intercept`` as float32, computed in float64; unchanged without a scaling."""
    if scaling is None:
        return stored
    slope, intercept = scaling
    # Whole numbers below 2**24 are exact in float32, which needs half the memory.
    are_whole = stored.dtype.kind in "iu" and slope == int(slope) and intercept == int(intercept)
    is_exact = are_whole and stored.dtype.itemsize <= 2 and abs(slope) <= 64 and abs(intercept) <= 2**23
    exact = stored.astype(np.float32 if is_exact else np.float64)
    exact *= slope
    exact += intercept
    return exact.astype(np.float32, copy=False)
