"""Words in an image: where each stands and what it says.

Shape legend: N words.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Polygon = npt.NDArray[np.float64]
"""(points, 2) x, y in pixels, three points or more."""


@dataclass(frozen=True)
class Words:
    """The words of one image; N may be 0.

    Attributes:
        polygons: N outlines, of any number of points.
        texts: N transcriptions; None where nobody wrote down what it says.
        is_ignored: (N,) bool: not to be read, such as ``###``; it is not trained on, and what is found there
            is not counted as wrong.
    """

    polygons: tuple[Polygon, ...]
    texts: tuple[str | None, ...]
    is_ignored: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        assert len(self.polygons) == len(self.texts) == len(self.is_ignored), "one of each for a word"
        assert all(p.ndim == 2 and len(p) >= 3 and p.shape[1] == 2 for p in self.polygons)

    def __len__(self) -> int:
        return len(self.polygons)
