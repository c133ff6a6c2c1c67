"""PASCAL VOC's average precision of boxes at an IoU of 0.5.

As in the development kit of VOC 2010 and later (Everingham et al., IJCV 2010): each found box is compared
with the true box of its class that it overlaps most, be it taken or not; a second one for the same true box
is wrong; and the precision is averaged over all recalls instead of 101.

Shape legend: K classes, N found boxes of one image.
"""

import numpy as np
import numpy.typing as npt

from limner.metrics.object_overlaps import ComparedObjects, Labels


class VocPrecision:
    """Accumulates found and true boxes over images.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        self._num_true = np.zeros(num_classes, np.int64)
        # Per image: labels, scores, whether right, whether neither right nor wrong.
        self._found: list[
            tuple[Labels, npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
        ]
        self._found = []

    def add(self, objects: ComparedObjects) -> None:
        """Add images."""
        is_ignored = objects.is_crowd | objects.is_difficult
        self._num_true += np.bincount(objects.true_labels[~is_ignored], minlength=len(self._num_true))
        found, true = objects.pairs.T
        # A crowd that surrounds an object is not nearer than the object itself.
        order = np.lexsort((-true, objects.ious, ~objects.is_crowd[true], found))
        found, true = found[order], true[order]
        is_nearest = np.append(found[1:] != found[:-1], np.ones(min(len(found), 1), bool))
        found, true = found[is_nearest], true[is_nearest]
        excused, first = np.zeros((2, len(objects.labels)), bool)
        excused[found] = is_ignored[true]
        first[found[np.unique(true, return_index=True)[1]]] = True
        self._found.append((objects.labels, objects.scores, first & ~excused, excused))

    def merge(self, other: "VocPrecision") -> None:
        """Add the boxes of other images."""
        self._num_true += other._num_true
        self._found += other._found

    def by_class(self) -> npt.NDArray[np.float64]:
        """Return (K) the AP of each class; NaN for those without a true box."""
        found = np.full(len(self._num_true), np.nan)
        if not self._found:
            return found
        labels, scores, is_right, is_excused = (
            np.concatenate([image[part] for image in self._found]) for part in range(4)
        )
        for k in np.flatnonzero(self._num_true):
            own = np.flatnonzero((labels == k) & ~is_excused)
            order = own[np.argsort(-scores[own], kind="stable")]
            found[k] = _area(is_right[order], int(self._num_true[k]))
        return found


def _area(is_right: npt.NDArray[np.bool_], num_true: int) -> float:
    """Return the area under the falling precision over the recall, of boxes by decreasing score."""
    right = np.cumsum(is_right)
    precision = right / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(falling[is_right].sum() / num_true)
