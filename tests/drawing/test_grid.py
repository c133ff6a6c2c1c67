import numpy as np

from limner.drawing.colors import Key
from limner.drawing.grid import Row, sheet
from limner.drawing.panels import GAP, Panel


def panel(shade: int, height: int = 30, width: int = 40) -> Panel:
    return Panel("", np.full((height, width, 3), shade, np.uint8))


def places(picture: np.ndarray, shade: int) -> tuple[int, int, int]:
    """Pixels of a grey, and their first row and column."""
    found = np.argwhere((picture == shade).all(axis=2))
    return len(found), int(found[:, 0].min()), int(found[:, 1].min())


def test_every_picture_is_there_in_its_place() -> None:
    rows = [Row("one", tuple(panel(s) for s in (40, 50, 60))), Row("", (panel(70, 50, 20),))]
    picture = sheet(rows, columns=2, side=40)
    assert picture.shape[1] == 2 * (40 + GAP) + GAP
    found = {shade: places(picture, shade) for shade in (40, 50, 60, 70)}
    # Letters are drawn with softened edges, which may hold the same grey: at least the picture's pixels.
    assert all(found[s][0] >= 30 * 40 for s in (40, 50, 60))
    assert found[70][0] >= 50 * 20
    top = [[int(r) for r in np.flatnonzero((picture[:, GAP + 1] == s).all(axis=1))[:1]] for s in (40, 60, 70)]
    assert top[0] < top[1] < top[2]
    assert (picture[top[0][0], GAP + 40 + GAP + 1] == 50).all()


def test_a_legend_makes_it_taller() -> None:
    rows = [Row("", (panel(40),))]
    keys = [Key(f"class number {n}", (255, 0, 0)) for n in range(4)]
    assert sheet(rows, columns=1, side=40, legend=keys).shape[0] > sheet(rows, columns=1, side=40).shape[0]
    assert sheet(rows, columns=1, side=40, title="x").shape[0] > sheet(rows, columns=1, side=40).shape[0]
