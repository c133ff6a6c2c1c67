"""Numbers of the segments of one image."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from limner.core.prediction import PanopticPrediction


class NumberedSegments:
    """Assigns segment ids from 1; all stuff of a class shares one."""

    def __init__(self, is_thing: Sequence[bool]) -> None:
        self._is_thing = is_thing
        self._labels: list[int] = []
        self._scores: list[float] = []
        self._stuff: dict[int, int] = {}

    def add(self, label: int, score: float) -> int:
        """Add a segment and return its id."""
        known = self._stuff.get(label)
        if known is not None:
            self._scores[known - 1] = max(self._scores[known - 1], score)
            return known
        self._labels.append(label)
        self._scores.append(score)
        if not self._is_thing[label]:
            self._stuff[label] = len(self._labels)
        return len(self._labels)

    def prediction(self, name: str, segment_ids: npt.NDArray[np.int32]) -> PanopticPrediction:
        """Return the prediction."""
        labels = np.array(self._labels, np.int64)
        is_thing = np.array(self._is_thing, bool)[labels]
        return PanopticPrediction(name, segment_ids, labels, np.array(self._scores, np.float32), is_thing)
