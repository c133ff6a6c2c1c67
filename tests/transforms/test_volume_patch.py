"""Patches of volumes: cut out exactly, and rotated and zoomed as SciPy does."""

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from limner.core.label_map import LabelMap
from limner.core.sample import Sample
from limner.transforms.volume_patch import VolumePatch, VolumePatchParams, rotation_of

SHAPE = (20, 24, 28)


def make_sample(spacing=(1.0, 1.0, 1.0), shape=SHAPE) -> Sample:
    rng = np.random.default_rng(0)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(*shape, 2)), 1), 2).astype(np.float32)
    labels = (np.indices(shape).sum(0) // 9).astype(np.uint8)
    return Sample("a", smooth, (LabelMap(labels),), spacing)


def test_a_patch_is_the_part_of_the_volume() -> None:
    sample = make_sample()
    patch = VolumePatch(size=(8, 10, 12))
    found = patch.apply(sample, VolumePatchParams((3, 4, 5)))
    np.testing.assert_array_equal(found.image, sample.image[3:11, 4:14, 5:17])
    np.testing.assert_array_equal(found.targets[0].labels, sample.targets[0].labels[3:11, 4:14, 5:17])
    assert found.image.flags.owndata
    assert found.spacing_mm == (1, 1, 1)


def test_beyond_the_volume_a_patch_is_filled() -> None:
    sample = make_sample(shape=(4, 24, 28))
    found = VolumePatch(size=(8, 8, 8), fill=(7.0, -7.0)).apply(sample, VolumePatchParams((-3, 0, 0)))
    np.testing.assert_array_equal(found.image[3:7], sample.image[:, :8, :8])
    assert (found.image[:3] == (7, -7)).all()
    assert (found.image[7] == (7, -7)).all()
    assert (found.targets[0].labels[:3] == 255).all()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5)])
@pytest.mark.parametrize("start", [(5, 5, 5), (-4, 12, 0)])
def test_one_map_rotates_and_zooms(spacing, start) -> None:
    sample, size = make_sample(spacing), (10, 12, 14)
    params = VolumePatchParams(start, (20.0, -15.0, 30.0), 1.3)
    found = VolumePatch(size=size, fill=(5.0, 5.0)).apply(sample, params)
    steps = np.array(spacing)
    matrix = np.diag(1 / steps) @ rotation_of(params.degrees) @ np.diag(steps / params.zoom)
    # SciPy counts from the middle of voxel 0: middle of the volume's patch - matrix @ middle of the patch.
    middle = (np.array(size) - 1) / 2
    offset = np.array(start) + middle - matrix @ middle
    for channel in range(2):
        expected = affine_transform(
            sample.image[..., channel], matrix, offset, size, order=1, mode="grid-constant", cval=5
        )
        np.testing.assert_allclose(found.image[..., channel], expected, atol=2e-3)
    labels = affine_transform(
        sample.targets[0].labels, matrix, offset, size, order=0, mode="grid-constant", cval=255
    )
    assert (found.targets[0].labels == labels).mean() > 0.999
    np.testing.assert_allclose(found.spacing_mm, steps / params.zoom)


def test_rotations_keep_lengths_in_space() -> None:
    # 90 degrees around the first axis, voxels twice as long along the second: what lies 4 voxels along it
    # lies 8 voxels along the third.
    image = np.zeros((3, 17, 33, 1), np.float32)
    image[1, 12, 16] = 1
    sample = Sample("a", image, (), (1.0, 2.0, 1.0))
    found = VolumePatch(size=(3, 17, 33)).apply(sample, VolumePatchParams((0, 0, 0), (90.0, 0.0, 0.0)))
    place = np.unravel_index(found.image.argmax(), found.image.shape[:3])
    assert place[:2] == (1, 8)
    assert abs(place[2] - 16) == 8


def test_thick_slices_stay_slices() -> None:
    rng = np.random.default_rng(0)
    patch = VolumePatch(size=(6, 16, 16), rotation=30, scale=(0.7, 1.4), thick_axis=0)
    sample = make_sample((5.0, 1.0, 1.0))
    flat = Sample("a", np.broadcast_to(np.arange(20.0)[:, None, None, None], (*SHAPE, 1)), (), (5.0, 1, 1))
    for _ in range(5):
        params = patch.draw(rng, sample)
        assert params.degrees[1:] == (0, 0)
        assert params.degrees[0] != 0
        found = patch.apply(flat, VolumePatchParams((4, 4, 6), params.degrees, params.zoom)).image
        expected = np.arange(4.0, 10)[:, None, None, None] * np.ones((1, 8, 8, 1))
        np.testing.assert_allclose(found[:, 4:12, 4:12], expected, atol=1e-4)


def test_places_and_draws() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros(SHAPE, np.uint8)
    labels[2, 3, 4] = 1
    labels[15, 20, 25] = 2
    target = LabelMap(labels).with_places(0)
    sample = Sample("a", np.zeros((*SHAPE, 1), np.float32), (target,))
    patch = VolumePatch(size=(9, 9, 9), foreground_probability=1, background=0, probability=0.2, rotation=30)
    drawn = [patch.draw(rng, sample) for _ in range(300)]
    assert {params.start for params in drawn} == {(0, 0, 0), (11, 15, 19)}
    assert 0.3 < np.mean([params.start == (0, 0, 0) for params in drawn]) < 0.7
    assert 0.1 < np.mean([not params.is_cut for params in drawn]) < 0.3
    anywhere = VolumePatch(size=(9, 9, 9))
    starts = np.array([anywhere.draw(rng, sample).start for _ in range(300)])
    assert starts.min(0).tolist() == [0, 0, 0]
    assert starts.max(0).tolist() == [11, 15, 19]
