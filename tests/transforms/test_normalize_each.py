"""Normalisation of an image by all of its voxels, or by those that are not 0, as nnU-Net and MONAI do it."""

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from limner.core.sample import Sample
from limner.transforms.keep_zeros import KeepZeros
from limner.transforms.normalize_each import nonzero_box, normalize_each
from limner.transforms.value_changes import ValueChanges, ValueChangesParams


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """(D, H, W, 2): a ball in empty space, with a hole inside, and a channel that is 0 in a part of it."""
    places = np.mgrid[:12, :14, :16] - np.array([6, 7, 9]).reshape(3, 1, 1, 1)
    distance = np.sqrt((places**2).sum(0))
    image = np.random.default_rng(0).normal(100, 20, (12, 14, 16, 2)).astype(np.float32)
    image[(distance > 5) | (distance < 2)] = 0
    image[:7, ..., 1] = 0
    return image


def test_each_image_is_normalised_by_itself() -> None:
    image = np.random.default_rng(0).normal([1e4, 5], [300, 0], (6, 7, 8, 2)).astype(np.float32)
    found = normalize_each(image)
    np.testing.assert_allclose(found.mean((0, 1, 2)), [0, 0], atol=1e-5)
    np.testing.assert_allclose(found.std((0, 1, 2)), [1, 0], atol=1e-5)
    np.testing.assert_allclose(normalize_each(image[..., :1] * 1e3), found[..., :1], atol=1e-3)


def test_voxels_that_are_not_zero_are_normalised_as_in_nnunet(head) -> None:
    # nnU-Net: a voxel counts if some channel is not 0 there, or if it is in a hole; the others stay 0.
    mask = binary_fill_holes((head != 0).any(-1))
    assert mask[6, 7, 9]
    found = normalize_each(head, "nonzero")
    for channel in range(2):
        inside = head[..., channel][mask]
        by_hand = (inside - inside.mean()) / inside.std()
        np.testing.assert_allclose(found[..., channel][mask], by_hand, atol=1e-5)
    assert (found[~mask] == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_holes_are_those_that_no_path_leads_to(seed: int) -> None:
    is_set = np.random.default_rng(seed).random((7, 8, 9)) < 0.6
    found = normalize_each(np.where(is_set, np.arange(1.0, 505.0).reshape(7, 8, 9), 0)[..., None], "nonzero")
    np.testing.assert_array_equal(found[..., 0] != 0, binary_fill_holes(is_set))


def test_pictures_have_no_holes() -> None:
    # nnU-Net sees a picture as a volume of one slice, all of whose pixels are at its border.
    picture = np.zeros((5, 5, 1))
    picture[1:4, 1:4] = np.arange(1.0, 10.0).reshape(3, 3, 1)
    picture[2, 2] = 0
    assert normalize_each(picture, "nonzero")[2, 2] == 0


def test_the_box_is_around_what_is_not_zero(head) -> None:
    box = nonzero_box(head)
    # The centre (6, 7, 9) and a radius of 5: 1 to 11, 2 to 12, and 4 to 14.
    assert box == (slice(1, 12), slice(2, 13), slice(4, 15))
    inside = head[box]
    mean, std = inside.mean((0, 1, 2)), inside.std((0, 1, 2))
    np.testing.assert_allclose(normalize_each(head, "nonzero_box"), (head - mean) / std, atol=1e-4)


def test_each_channel_has_its_own_zeros_as_in_monai(head) -> None:
    found = normalize_each(head, "nonzero_of_channel")
    for channel in range(2):
        mask = head[..., channel] != 0
        inside = head[..., channel][mask]
        np.testing.assert_allclose(
            found[..., channel][mask], (inside - inside.mean()) / inside.std(), atol=1e-5
        )
        assert (found[..., channel][~mask] == 0).all()


@pytest.mark.parametrize("over", [None, "nonzero_box", "nonzero", "nonzero_of_channel"])
def test_an_empty_volume_stays_empty(over) -> None:
    assert (normalize_each(np.zeros((3, 4, 5, 2)), over) == 0).all()


@pytest.mark.parametrize(("of_each_channel", "change"), [(False, 1.0), (True, 0.0)])
def test_changes_of_values_leave_what_is_around_the_body(head, of_each_channel, change) -> None:
    sample = Sample("head", normalize_each(head, "nonzero_of_channel"))
    changes = KeepZeros(ValueChanges(noise=1.0), of_each_channel)
    found = changes.apply(sample, ValueChangesParams(variance=1.0)).image
    is_empty = (sample.image == 0).all(-1)
    assert (found[is_empty] == 0).all()
    assert (found[..., 0][sample.image[..., 0] != 0] != sample.image[..., 0][sample.image[..., 0] != 0]).all()
    only_first = (sample.image[..., 0] != 0) & (sample.image[..., 1] == 0)
    assert (found[only_first, 1] != 0).mean() == change
