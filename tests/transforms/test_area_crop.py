import numpy as np
import pytest

from limner.core.sample import Sample
from limner.transforms.area_crop import AreaCrop


def sample_of(shape):
    return Sample("a", np.zeros((*shape, 1), np.uint8))


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (33, 200)])
@pytest.mark.parametrize("size", [(32, 32), (32, 48)])
def test_windows_have_the_area_and_the_aspect_asked_for(shape, size):
    crop = AreaCrop(size, area=(0.1, 0.4))
    for seed in range(40):
        params = crop.draw(np.random.default_rng(seed), sample_of(shape))
        height, width = params.window
        part = height * width / (shape[0] * shape[1])
        assert 0.08 < part < 0.43  # sides are rounded
        assert 0.7 < (width / size[1]) / (height / size[0]) < 1.45
        for start, length, side in zip(params.start, params.window, shape, strict=True):
            assert 0 <= start <= side - length
        assert crop.apply(sample_of(shape), params).image.shape == (*size, 1)


def test_where_no_window_fits_the_middle_of_the_image_is_taken():
    crop = AreaCrop((32, 32), area=(1.0, 1.0))
    params = crop.draw(np.random.default_rng(0), sample_of((10, 100)))
    # The widest window of a height of 10 is 13 pixels: 4 / 3 of it.
    assert params.window == (10, 13) and params.start == (0, 43)
    params = crop.draw(np.random.default_rng(0), sample_of((100, 12)))
    assert params.window == (16, 12) and params.start == (42, 0)


def test_an_image_of_the_same_aspect_can_be_taken_whole():
    crop = AreaCrop((32, 32), area=(1.0, 1.0), aspect=(1.0, 1.0))
    params = crop.draw(np.random.default_rng(0), sample_of((8, 8)))
    assert params.window == (8, 8) and params.start == (0, 0)


def test_volumes_keep_their_aspect():
    crop = AreaCrop((16, 16, 16), area=(0.2, 0.2))
    params = crop.draw(np.random.default_rng(0), sample_of((30, 30, 30)))
    assert params.window == (18, 18, 18)  # 0.2 of 27000 pixels
