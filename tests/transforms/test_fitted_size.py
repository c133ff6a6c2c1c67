import pytest
from pydantic import ValidationError

from limner.core.plan import ResizePlan
from limner.transforms.fitted_size import fitted_size


@pytest.mark.parametrize(
    ("height", "width", "plan", "expected"),
    [
        (480, 640, {}, (480, 640)),
        (480, 640, {"shortest": 800}, (800, 1066)),  # 800 / 480 * 640 = 1066.7
        (480, 640, {"shortest": 800, "multiple": 32}, (800, 1088)),
        (300, 900, {"shortest": 800, "longest": 1333, "multiple": 32}, (448, 1344)),  # 444.3 x 1333
        (1200, 900, {"shortest": 800, "longest": 1333}, (1066, 800)),
        (100, 37, {"size": (384, 384)}, (384, 384)),
        (33, 64, {"multiple": 32}, (64, 64)),
        (3, 1000, {"shortest": 10, "longest": 100}, (1, 100)),  # never nothing
    ],
)
def test_sizes(height, width, plan, expected):
    assert fitted_size(height, width, ResizePlan(**plan)) == expected


@pytest.mark.parametrize(
    "wrong",
    [{"shortest": 5, "size": (3, 4)}, {"longest": 5}, {"shortest": 9, "longest": 5}, {"size": (3, 4, 5)}],
)
def test_contradictions_are_refused(wrong):
    with pytest.raises(ValidationError):
        ResizePlan(**wrong)
