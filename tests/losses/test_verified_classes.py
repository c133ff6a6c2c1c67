import torch

from limner.core.boxes import BoxTargets
from limner.core.segments import SegmentTargets
from limner.losses.verified_classes import verified_classes


def boxes(complete):
    known = None if complete is None else torch.tensor(complete, dtype=torch.long)
    labels, flags = torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.bool)
    return BoxTargets(torch.zeros(0, 4), labels, flags, known)


def test_a_row_for_each_image():
    found = verified_classes([boxes([2, 0]), boxes(None), boxes([])], 4)
    assert found.tolist() == [[True, False, True, False], [True] * 4, [False] * 4]


def test_nothing_where_all_objects_are_drawn():
    assert verified_classes([boxes(None), boxes(None)], 4) is None


def test_segments_alike():
    empty = SegmentTargets(torch.zeros(0, 2, 2), torch.zeros(0, dtype=torch.long), complete=torch.tensor([1]))
    assert verified_classes([empty], 2).tolist() == [[False, True]]
