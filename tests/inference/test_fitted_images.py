import pytest
import torch

from limner.core.plan import ResizePlan
from limner.inference.fitted_images import fit_images


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
