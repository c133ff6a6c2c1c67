"""The classes that an image was searched for: in LVIS, only some of all.

Paper: LVIS: A Dataset for Large Vocabulary Instance Segmentation (Gupta et al., CVPR 2019),
https://arxiv.org/abs/1908.03195: an image is searched for a few classes, and of some of these not all objects
are drawn. Where nothing is drawn, there may be objects of all others, which no loss may take for background.

Shape legend: B batch, K classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from limner.core.boxes import BoxTargets
from limner.core.segments import SegmentTargets


def verified_classes(targets: Sequence[BoxTargets | SegmentTargets], num_classes: int) -> Tensor | None:
    """Return (B, K) bool: whether all objects of a class are drawn in an image; None if all of all are.

    The host does not wait for the device of the targets.

    Args:
        targets: B targets, whose labels are below K.
        num_classes: K.
    """
    if all(each.complete is None for each in targets):
        return None
    rows = []
    for each in targets:
        known = torch.full((num_classes,), each.complete is None, dtype=torch.bool, device=each.labels.device)
        rows.append(known if each.complete is None else known.index_fill(0, each.complete, True))
    return torch.stack(rows)
