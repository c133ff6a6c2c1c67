import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from limner.metrics.surface_distance import surface_distances, surface_of


def blob(seed, shape):
    """A random smooth region, with a piece at the border of the image."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return noise > np.quantile(noise, 0.7)


def region(shape, *points):
    mask = np.zeros(shape, bool)
    for point in points:
        mask[point] = True
    return mask


def test_the_distance_of_two_voxels_is_measured_in_millimetres():
    one, other = region((5, 5, 5), (0, 1, 1)), region((5, 5, 5), (3, 1, 2))
    found = surface_distances(one, other, (2.0, 1.0, 0.5))
    # 3 steps of 2 mm along the slices, 1 of 0.5 mm along the columns.
    expected = np.hypot(6.0, 0.5)
    assert found.hd95 == pytest.approx(expected) and found.average == pytest.approx(expected)
    assert found.dice(6.0) == 0 and found.dice(expected) == 1


def test_a_larger_disc_around_a_smaller_one():
    rows, columns = np.indices((41, 41)) - 20
    small, large = (np.hypot(rows, columns) <= radius for radius in (10, 13))
    found = surface_distances(small, large, (0.5, 0.5))
    # The outlines are 3 pixels of 0.5 mm apart, give or take half a pixel's diagonal.
    assert found.average == pytest.approx(1.5, abs=0.2) and found.hd95 == pytest.approx(1.5, abs=0.4)
    assert found.dice(1.0) < 0.2 and found.dice(2.0) == 1


def test_the_surface_has_a_neighbour_outside_or_touches_the_border():
    cube = np.zeros((7, 7, 7), bool)
    cube[1:6, 1:6, 1:6] = True
    assert surface_of(cube).sum() == 5**3 - 3**3
    assert surface_of(np.ones((4, 4), bool)).sum() == 16 - 4
    # A volume of one slice has the outline of an image: its two faces are no surface.
    assert surface_of(np.ones((1, 4, 4), bool), axes=(1, 2)).sum() == 16 - 4


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (3.0, 0.7), (2.5, 0.8, 0.8), (1.0, 2.0, 3.0)])
def test_distances_equal_those_between_all_pairs(seed, spacing):
    shape = (13, 17, 11)[: len(spacing)]
    truth, predicted = blob(seed, shape), blob(seed + 100, shape)
    found = surface_distances(truth, predicted, spacing)
    ends = [np.argwhere(surface_of(mask)) * spacing for mask in (truth, predicted)]
    apart = cdist(*ends)
    np.testing.assert_allclose(found.from_truth, apart.min(1), atol=1e-9)
    np.testing.assert_allclose(found.from_predicted, apart.min(0), atol=1e-9)


def test_a_tolerance_includes_distances_of_its_size_however_the_spacing_is_rounded():
    one, other = region((9, 9), (2, 2)), region((9, 9), (2, 5))
    step = float(np.float32(0.9))
    assert surface_distances(one, other, (0.9, 0.9)).dice(3 * step) == 1


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(6))
def test_distances_equal_those_of_monai(seed):
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    draw = np.random.default_rng(seed)
    dims = 2 + seed % 2
    shape = tuple(draw.integers(12, 40, dims))
    spacing = tuple(float(s) for s in draw.uniform(0.4, 4.0, dims))
    truth, predicted = blob(seed, shape), blob(seed + 50, shape)
    found = surface_distances(truth, predicted, spacing)
    one_hot = [torch.from_numpy(mask)[None, None].float() for mask in (predicted, truth)]
    options = {"include_background": True, "spacing": spacing}
    hd95 = monai.compute_hausdorff_distance(*one_hot, percentile=95, **options).item()
    average = monai.compute_average_surface_distance(*one_hot, symmetric=True, **options).item()
    dice = monai.compute_surface_dice(*one_hot, class_thresholds=[1.3], **options).item()
    assert found.hd95 == pytest.approx(hd95, abs=1e-3)
    assert found.average == pytest.approx(average, abs=1e-3)
    assert found.dice(1.3) == pytest.approx(dice, abs=1e-6)


@pytest.mark.parametrize("steps", [2, 5, 9])
def test_surfaces_far_apart_are_measured_as_well(steps):
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(10, 14, 12)), 2)
    truth = np.pad(noise > np.quantile(noise, 0.5), [(0, 10)] * 3)
    predicted = np.roll(truth, (steps, steps, steps), (0, 1, 2))
    found = surface_distances(truth, predicted, (1.5, 0.8, 0.8))
    ends = [np.argwhere(surface_of(mask)) * (1.5, 0.8, 0.8) for mask in (truth, predicted)]
    apart = cdist(*ends)
    np.testing.assert_allclose(found.from_truth, apart.min(1), atol=1e-9)
    np.testing.assert_allclose(found.from_predicted, apart.min(0), atol=1e-9)
