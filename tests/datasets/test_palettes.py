import pytest

from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable, voc_color
from limner.datasets.palettes import repainted

STREET = LabelTable((LabelClass("car", (0,), (1, 1, 1)), LabelClass("tent", (1,), (2, 2, 2))))


def test_palettes(tmp_path):
    def colors(palette):
        return [c.color for c in repainted(STREET, palette).classes]

    assert colors("own") == [(1, 1, 1), (2, 2, 2)]
    assert colors("voc") == [voc_color(0), voc_color(1)]
    assert colors("cityscapes") == [(0, 0, 142), (244, 35, 232)]  # car by its name, the other by its place
    (tmp_path / "mine.csv").write_text("tent,#0a0b0c\nother,1,2,3\n")
    assert colors(str(tmp_path / "mine.csv")) == [(1, 1, 1), (10, 11, 12)]
    (tmp_path / "other.csv").write_text("a,1,2,3\nb,4,5,6\n")
    with pytest.raises(ConfigError, match="contains none of the classes"):
        repainted(STREET, str(tmp_path / "other.csv"))
