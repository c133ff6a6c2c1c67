from limner.formats.drawn import Shape
from limner.formats.shapes.valid_shapes import valid_shapes

HOLE = Shape("hole", [2, 2, 4, 2, 4, 4])
AROUND = Shape("polygon", [0, 0, 9, 0, 9, 9, 0, 9])


def test_a_hole_alone_covers_nothing() -> None:
    found: list[str] = []
    assert valid_shapes([HOLE], (10, 10), lambda code, _: found.append(code)) == ()
    assert found == ["annotation-empty"]
    assert valid_shapes([AROUND, HOLE], (10, 10), lambda code, _: found.append(code)) == (AROUND, HOLE)
