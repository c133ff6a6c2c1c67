"""Opposite sides in names of classes."""

import pytest

from limner.planning.class_sides import find_sides


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (("background", "left kidney", "right kidney"), "LR"),
        (("kidney_L", "kidney_R"), "LR"),
        (("LeftLung", "RightLung"), "LR"),
        (("leftkidney", "rightkidney"), "LR"),
        (("rein gauche", "rein droit"), "LR"),
        (("Anterior", "Posterior"), "PA"),
        (("lung_upper_lobe", "lung_lower_lobe"), "IS"),
        (("L1", "L2", "L3"), "IS"),
        (("vertebrae T11", "vertebrae T12", "vertebrae T10"), "IS"),
        (("left rib 1", "right rib 1", "left rib 2", "left rib 3"), "LR IS"),
        (("liver", "tumour", "left atrium"), ""),
        (("bright", "upright", "left"), ""),
        (("stage 1", "stage 2"), ""),
        (("lobe", "robe"), ""),  # no words of one letter
    ],
)
def test_classes_of_opposite_sides(names, axes: str) -> None:
    found = find_sides(names)
    assert " ".join(each.axis for each in found) == axes
    assert all(name in names for each in found for name in each.names)
