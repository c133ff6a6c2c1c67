"""Changes of colour and geometry: what each does, and that images and points move alike."""

import numpy as np
import pytest

from limner.core.label_map import LabelMap
from limner.core.sample import Sample
from limner.transforms.erasing import Erasing
from limner.transforms.random_changes import COLOUR, GEOMETRIC, ChangesParams, RandomChanges

RNG = np.random.default_rng(0)
CHANGES = RandomChanges(2, 0.5, fill=7.0)


def changed(image, name, amount, labels=None):
    targets = () if labels is None else (LabelMap(labels),)
    return CHANGES.apply(Sample("a", image, targets), ChangesParams(((name, amount),)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_every_drawn_change_keeps_type_and_shape(dtype, channels):
    image = (RNG.random((20, 24, channels)) * 200).astype(dtype)
    sample, seen = Sample("a", image), set()
    for seed in range(60):
        params = CHANGES.draw(np.random.default_rng(seed), sample)
        assert len(params.changes) == 2 and {abs(amount) for _, amount in params.changes} == {0.5}
        seen |= {name for name, _ in params.changes}
        found = CHANGES.apply(sample, params).image
        assert found.dtype == dtype and found.shape == image.shape
    bytes_only = {"posterize", "solarize", "equalize"} if dtype != np.uint8 else set()
    assert seen == {*GEOMETRIC, *COLOUR} - bytes_only


def test_colour_changes_by_hand():
    image = np.array([[[0], [100], [200]]], np.uint8)
    assert changed(image, "brightness", -1.0).image.ravel().tolist() == [0, 10, 20]  # a tenth
    assert changed(image, "posterize", 1.0).image.ravel().tolist() == [0, 96, 192]  # four bits are left
    assert changed(image, "solarize", 0.5).image.ravel().tolist() == [0, 100, 55]  # from 128 on
    assert changed(image // 2, "stretch", 0.5).image.ravel().tolist()[::2] == [0, 255]
    # The mean is 100: differences from it are halved, at an amount of -0.5 / 0.9.
    assert changed(image, "contrast", -0.5 / 0.9).image.ravel().tolist() == [50, 100, 150]


@pytest.mark.parametrize("name", GEOMETRIC)
def test_labels_and_points_go_where_the_image_goes(name):
    image = np.zeros((41, 51, 1), np.uint8)
    labels = np.zeros((41, 51), np.uint8)
    image[12:22, 20:32], labels[12:22, 20:32] = 255, 1
    found = changed(image, name, 0.6, labels)
    moved = found.get(LabelMap).labels
    inside = moved != 255
    assert (moved == 255).any()  # from outside the image
    # The interpolated image and the nearest labels agree but for the border.
    agree = (found.image[..., 0] > 127) == (moved == 1)
    assert agree[inside].mean() > 0.97
    matrix = GEOMETRIC[name](0.6, (41, 51))
    middle = matrix[:, :2] @ np.array([26.0, 17.0]) + matrix[:, 2]
    found_middle = np.argwhere(moved == 1).mean(0)[::-1] + 0.5
    np.testing.assert_allclose(found_middle, middle, atol=0.6)


def test_pixels_from_outside_have_the_fill_value():
    found = changed(np.full((20, 20, 2), 99, np.uint8), "shift x", 1.0).image
    assert (found[:, :9] == 7).all() and (found[:, 9:] == 99).all()  # 0.45 of 20 pixels


def test_erasing_covers_a_rectangle_in_its_share_of_images():
    sample = Sample("a", np.full((30, 40, 3), 9, np.uint8))
    erase = Erasing(0.5, fill=(1.0, 2.0, 3.0))
    parts = []
    for seed in range(200):
        found = erase.apply(sample, erase.draw(np.random.default_rng(seed), sample)).image
        gone = (found != 9).any(-1)
        parts.append(gone.mean())
        if gone.any():
            rows, columns = np.flatnonzero(gone.any(1)), np.flatnonzero(gone.any(0))
            assert gone[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
            assert found[gone][0].tolist() == [1, 2, 3]
    erased = [part for part in parts if part]
    assert 80 < len(erased) < 120  # of 200, standard deviation 7
    assert min(erased) > 0.01 and max(erased) < 0.36
    assert (sample.image == 9).all()
