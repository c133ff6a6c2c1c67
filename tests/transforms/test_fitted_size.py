import pytest
import torch
from pydantic import ValidationError

from limner.core.plan import InferencePlan, ResizePlan
from limner.inference.fitted_size import fit_images, fitted_size


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


def test_images_that_fit_are_left_alone():
    images = torch.zeros(1, 3, 64, 96, dtype=torch.uint8)
    assert fit_images(images, ResizePlan()) is images
    assert fit_images(images, ResizePlan(shortest=64, multiple=32)) is images


def test_a_picture_keeps_its_mean_and_its_gradient():
    ramp = torch.arange(64.0).view(1, 1, 1, 64).expand(1, 1, 64, 64)
    small = fit_images(ramp, ResizePlan(size=(16, 16)))
    assert small.mean() == pytest.approx(31.5)
    # Inside, each of the 16 columns is the mean around 4 n + 1.5.
    torch.testing.assert_close(small[0, 0, 8, 2:-2], 4 * torch.arange(2.0, 14) + 1.5)


@pytest.mark.parametrize(
    "wrong",
    [{"shortest": 5, "size": (3, 4)}, {"longest": 5}, {"shortest": 9, "longest": 5}, {"size": (3, 4, 5)}],
)
def test_contradictions_are_refused(wrong):
    with pytest.raises(ValidationError):
        ResizePlan(**wrong)


def test_windows_and_resizing_exclude_each_other():
    with pytest.raises(ValidationError, match="window requires images at their own size.*--resize no"):
        InferencePlan(window=(64, 64), resize=ResizePlan(shortest=100))
