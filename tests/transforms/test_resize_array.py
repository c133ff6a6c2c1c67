import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.transforms.resize_array import resize_image, resize_labels


def interpolated(image, size, dims):
    """The independent reference: PyTorch's interpolate with aligned pixel centres."""
    mode = {2: "bilinear", 3: "trilinear"}[dims]
    tensor = torch.from_numpy(image.astype(np.float64)).movedim(-1, 0)[None]
    resized = torch.nn.functional.interpolate(tensor, size=size, mode=mode, align_corners=False)
    return resized[0].movedim(0, -1).numpy()


@pytest.mark.parametrize("channels", [1, 3, 5, 12, 130])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_linear_zoom_agrees_with_pytorch(channels, dtype):
    image = np.random.default_rng(0).integers(0, 256, (20, 31, channels)).astype(dtype)
    ours = resize_image(image, (33, 40))
    assert ours.dtype == dtype
    assert ours.shape == (33, 40, channels)
    # uint8 and uint16 are rounded, OpenCV's uint8 weights have 11 bits.
    assert np.abs(ours - interpolated(image, (33, 40), 2)).max() <= (1e-3 if dtype == np.float32 else 1.01)


@pytest.mark.parametrize("channels", [1, 3, 5, 12])
def test_strong_shrinking_averages_areas(channels):
    image = np.random.default_rng(0).integers(0, 256, (40, 80, channels), dtype=np.uint8)
    # 4 x 4 source pixels make one: their mean, rounded.
    means = image.reshape(10, 4, 20, 4, channels).mean((1, 3))
    assert np.abs(resize_image(image, (10, 20)) - means).max() <= 0.51


@pytest.mark.parametrize("size", [(5, 9, 8), (14, 9, 20), (3, 4, 5)])
def test_volumes_agree_with_pytorch(size):
    volume = np.random.default_rng(0).normal(size=(7, 9, 11, 2)).astype(np.float32)
    assert np.allclose(resize_image(volume, size), interpolated(volume, size, 3), atol=1e-5)


def test_volumes_of_integers_are_rounded():
    # Source centres of 2 -> 4 pixels: -0.25, 0.25, 0.75, 1.25; between 0 and 10: 0, 2.5, 7.5, 10.
    volume = np.array([0, 10], np.uint8).reshape(2, 1, 1, 1)
    assert resize_image(volume, (4, 1, 1)).ravel().tolist() == [0, 2, 8, 10]


def test_labels_take_the_nearest_centre():
    # 5 -> 3 pixels: centres at 0.83, 2.5, 4.17, which lie in source pixels 0, 2, 4.
    labels = np.array([[1, 2, 3, 4, 5]], np.uint8)
    assert resize_labels(labels, (1, 3)).tolist() == [[1, 3, 5]]
    assert resize_labels(labels[None], (1, 1, 3)).tolist() == [[[1, 3, 5]]]


def test_labels_do_not_shift_against_the_image():
    # A step edge, shrunk by an uneven factor: the label edge stays within a pixel of the image's, on no
    # preferred side. OpenCV's plain INTER_NEAREST would shift every edge the same way.
    sides = []
    for edge in range(20, 80):
        image = (np.arange(100) >= edge).astype(np.float32)[None, :, None].repeat(3, 0)
        labels = image[..., 0].astype(np.uint8)
        zoomed = resize_image(image, (3, 64))[1, :, 0].sum()
        sides.append(resize_labels(labels, (3, 64))[1].sum() - zoomed)
    assert np.abs(sides).max() < 1
    assert abs(np.mean(sides)) < 0.05


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 30), min_size=2, max_size=3),
    new=st.lists(st.integers(1, 40), min_size=3, max_size=3),
    seed=st.integers(0, 1000),
)
def test_no_label_is_invented(shape, new, seed):
    labels = np.random.default_rng(seed).choice(np.array([0, 3, 200, 255], np.uint8), shape)
    size = tuple(new[: len(shape)])
    resized = resize_labels(labels, size)
    assert resized.shape == size
    assert set(np.unique(resized)) <= set(np.unique(labels))


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 30), min_size=2, max_size=3),
    new=st.lists(st.integers(1, 40), min_size=3, max_size=3),
    channels=st.integers(1, 6),
    value=st.integers(0, 255),
)
def test_a_flat_image_stays_flat(shape, new, channels, value):
    image = np.full((*shape, channels), value, np.uint8)
    resized = resize_image(image, tuple(new[: len(shape)]))
    assert resized.shape == (*new[: len(shape)], channels)
    assert (resized == value).all()


def test_read_only_slices_and_memory_maps_are_welcome(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    np.save(tmp_path / "image.npy", image)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")[5:30, 7:40]
    assert np.array_equal(resize_image(mapped, (20, 20)), resize_image(image[5:30, 7:40], (20, 20)))


def test_the_same_size_is_a_copy():
    image = np.zeros((4, 5, 3), np.uint8)
    assert not np.shares_memory(resize_image(image, (4, 5)), image)
    assert not np.shares_memory(resize_labels(image[..., 0], (4, 5)), image)
