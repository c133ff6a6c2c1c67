"""Changes of values: each does what its name says, and can be replayed."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from limner.core.sample import Sample
from limner.transforms.volume_changes import VolumeChanges, VolumeChangesParams

ALL = VolumeChanges(0.1, 1.0, 0.25, 0.25, 0.5, (0.7, 1.5))


@pytest.fixture
def sample() -> Sample:
    image = np.random.default_rng(0).normal(size=(12, 14, 16, 2)).astype(np.float32)
    image.flags.writeable = False
    return Sample("a", image)


def change(sample: Sample, **params: object) -> np.ndarray:
    return ALL.apply(sample, VolumeChangesParams(**params)).image


def test_nothing_changes_nothing(sample: Sample) -> None:
    assert ALL.apply(sample, VolumeChangesParams(seed=3)) is sample
    assert VolumeChanges().is_noop
    assert not ALL.is_noop


def test_noise_has_its_variance(sample: Sample) -> None:
    noise = change(sample, variance=0.09, seed=5) - sample.image
    assert noise.std() == pytest.approx(0.3, rel=0.05)
    np.testing.assert_array_equal(change(sample, variance=0.09, seed=5), sample.image + noise)


def test_brightness_contrast_and_blur(sample: Sample) -> None:
    np.testing.assert_allclose(change(sample, brightness=1.2), sample.image * 1.2, rtol=1e-5)
    found, mean = change(sample, contrast=0.5), sample.image.mean((0, 1, 2))
    np.testing.assert_allclose(found, (sample.image - mean) / 2 + mean, atol=1e-5)
    wide = change(sample, contrast=1.5)  # within the range of the patch
    assert (wide.min((0, 1, 2)) >= sample.image.min((0, 1, 2))).all()
    blurred = change(sample, sigmas=(0.8, 0.0))
    np.testing.assert_allclose(blurred[..., 0], gaussian_filter(sample.image[..., 0], 0.8), atol=1e-2)
    np.testing.assert_array_equal(blurred[..., 1], sample.image[..., 1])


def test_gamma_keeps_mean_and_deviation(sample: Sample) -> None:
    for key in ("gamma", "inverted_gamma"):
        found = change(sample, **{key: 1.4})
        np.testing.assert_allclose(found.mean((0, 1, 2)), sample.image.mean((0, 1, 2)), atol=1e-4)
        np.testing.assert_allclose(found.std((0, 1, 2)), sample.image.std((0, 1, 2)), rtol=1e-4)
        skew = ((found - found.mean()) ** 3).mean() - ((sample.image - sample.image.mean()) ** 3).mean()
        assert (skew > 0) == (key == "gamma")  # an exponent above 1 draws most values to the dark end


def test_low_resolution_loses_detail(sample: Sample) -> None:
    found = change(sample, zooms=(0.5, 1.0))
    assert (
        np.abs(np.diff(found[..., 0], axis=1)).mean() < np.abs(np.diff(sample.image[..., 0], axis=1)).mean()
    )
    np.testing.assert_array_equal(found[..., 1], sample.image[..., 1])


def test_values_are_changed_as_the_network_sees_them(sample: Sample) -> None:
    # The same voxels in units of 1 and of 50 around 1000 give the same normalised result.
    scaled = Sample("a", sample.image * 50 + 1000)
    in_units = VolumeChanges(0.1, 1.0, 0.25, 0.25, 0.5, (0.7, 1.5), mean=(1000, 1000), std=(50, 50))
    params = VolumeChangesParams(0.05, 9, (0.7, 0.6), 1.1, 0.9, (0.6, 0.8), 1.2, 0.8)
    found = (in_units.apply(scaled, params).image - 1000) / 50
    np.testing.assert_allclose(found, ALL.apply(sample, params).image, atol=2e-3)


def test_changes_are_as_frequent_as_stated(sample: Sample) -> None:
    rng = np.random.default_rng(1)
    drawn = [ALL.draw(rng, sample) for _ in range(2000)]
    shares = {
        "variance": np.mean([p.variance > 0 for p in drawn]),
        "sigmas": np.mean([p.sigmas != () for p in drawn]),
        "brightness": np.mean([p.brightness != 1 for p in drawn]),
        "zooms": np.mean([p.zooms != () for p in drawn]),
        "gamma": np.mean([p.gamma != 1 for p in drawn]),
    }
    expected = {"variance": 0.1, "sigmas": 0.2, "brightness": 0.15, "zooms": 0.25, "gamma": 0.3}
    for name, part in expected.items():
        assert shares[name] == pytest.approx(part, abs=0.04), name
    assert all(0.7 <= p.gamma <= 1.5 for p in drawn)
