import pytest

from limner.formats.drawn import Box, Drawn, Shape
from limner.formats.shapes.object_problems import object_problems

SQUARE = Shape("polygon", [10, 10, 30, 10, 30, 30, 10, 30])
BOX = Shape("box", [10, 10, 30, 30])


def one(*shapes: Shape, value: int = 1, box: Box | None = None, **more: object) -> Drawn:
    return Drawn(value, shapes, box=box, name=str(more.pop("name", "shape 1")), **more)


DEFECTS = {
    "polygon-crosses-itself": ([one(Shape("polygon", [10, 10, 30, 30, 30, 10, 10, 30]))], "shape 1", "cross"),
    "box-and-mask-disagree": (
        [one(SQUARE, box=(10, 10, 33, 30))],
        "shape 1",
        "the box is 10, 10, 33, 30, around the mask it would be 10, 10, 30, 30",
    ),
    "annotation-repeated": ([one(SQUARE), one(SQUARE, name="shape 7")], "shape 7", "the same as shape 1"),
    "crowd": ([one(SQUARE, is_crowd=True)], "shape 1", "many objects"),
}


@pytest.mark.parametrize("code", DEFECTS)
def test_each_defect_is_named_and_can_be_mended(code: str) -> None:
    objects, where, found = DEFECTS[code]
    (finding,) = object_problems(objects, (40, 60), "a.json", "a.png").findings()
    assert (finding.code, finding.where, finding.files) == (code, f"a.json, {where}", ("a.png",))
    assert found in finding.found
    assert finding.expected
    assert finding.fix


def test_boxes_that_differ_by_a_pixel_are_one_object() -> None:
    near = one(Shape("box", [10, 11, 30.5, 30]), name="shape 2")
    assert [f.code for f in object_problems([one(BOX), near], (40, 60), "a", "a").findings()] == [
        "annotation-repeated"
    ]


def test_what_is_sound_is_not_mentioned() -> None:
    objects = [
        one(SQUARE, box=(10, 10, 32, 30)),  # 2 pixels away
        one(SQUARE, value=2),  # another class
        one(BOX, value=3),
        one(Shape("box", [10, 10, 30, 33]), value=3),
    ]
    assert object_problems(objects, (40, 60), "a.json", "a.png").findings() == ()
