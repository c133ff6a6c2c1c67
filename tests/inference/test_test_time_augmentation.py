import pytest
import torch

from limner.inference.test_time_augmentation import View, views


def test_views_are_every_zoom_with_every_flip():
    assert list(views(scales=(1.0,), flips=False, flip_axes=(0, 1))) == [View()]
    found = list(views(scales=(1.0, 0.5), flips=True, flip_axes=(0, 1)))
    assert [(v.scale, v.flipped) for v in found] == [
        (s, f) for s in (1.0, 0.5) for f in ((), (0,), (1,), (0, 1))
    ]


def test_flips_follow_the_axes_that_training_mirrored():
    assert [v.flipped for v in views(scales=(1.0,), flips=True, flip_axes=(1,))] == [(), (1,)]
    assert [v.flipped for v in views(scales=(1.0,), flips=True, flip_axes=())] == [()]


@pytest.mark.parametrize("flipped", [(), (0,), (1,), (0, 1)])
def test_a_flip_is_undone(flipped):
    images = torch.arange(12.0).view(1, 1, 3, 4)
    view = View(1.0, flipped)
    assert torch.equal(view.undo_flip(view.apply(images)), images)
    assert torch.equal(view.apply(images), images) == (not flipped)


def test_a_zoom_changes_the_size_but_not_a_constant():
    images = torch.full((1, 2, 20, 10), 9, dtype=torch.uint8)
    for scale, size in ((0.5, (10, 5)), (1.5, (30, 15))):
        seen = View(scale).apply(images)
        assert seen.shape == (1, 2, *size)
        torch.testing.assert_close(seen, torch.full_like(seen, 9))
    assert View(0.5).apply(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 1, 4, 4, 4)


def test_a_zoom_does_not_shrink_below_what_networks_take():
    images = torch.zeros(1, 1, 40, 20)
    assert View(0.5).apply(images, smallest=33).shape == (1, 1, 33, 20)
