"""Changes of values of patches and images: each does what its name says, and can be replayed."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from limner.core.sample import Sample
from limner.transforms.value_changes import ValueChanges, ValueChangesParams

ALL = ValueChanges(0.1, 1.0, 0.25, 0.25, 0.5, (0.7, 1.5))


@pytest.fixture
def sample() -> Sample:
    image = np.random.default_rng(0).normal(size=(12, 14, 16, 2)).astype(np.float32)
    image.flags.writeable = False
    return Sample("a", image)


def change(sample: Sample, **params: object) -> np.ndarray:
    return ALL.apply(sample, ValueChangesParams(**params)).image


def test_nothing_changes_nothing(sample: Sample) -> None:
    assert ALL.apply(sample, ValueChangesParams(seed=3)) is sample
    assert ValueChanges().is_noop
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
    in_units = ValueChanges(0.1, 1.0, 0.25, 0.25, 0.5, (0.7, 1.5), mean=(1000, 1000), std=(50, 50))
    params = ValueChangesParams(0.05, 9, (0.7, 0.6), 1.1, 0.9, (0.6, 0.8), 1.2, 0.8)
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


def plane(*shape: int, dtype: type = np.float32) -> Sample:
    values = np.random.default_rng(1).normal(size=shape)
    scaled = values if dtype == np.float32 else np.clip(values * 40 + 120, 0, 255)
    return Sample("plane", scaled.astype(dtype))


@pytest.mark.parametrize(("shape", "sigma"), [((21, 30), 0.5), ((21, 30), 1.7), ((3, 4), 2.0)])
def test_a_plane_is_blurred_as_by_scipy(shape, sigma) -> None:
    image = plane(*shape, 2)
    found = change(image, sigmas=(sigma, 0.0))
    expected = gaussian_filter(image.image[..., 0], sigma, truncate=3)
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-5)
    np.testing.assert_array_equal(found[..., 1], image.image[..., 1])


def test_a_plane_at_half_of_its_resolution_by_hand() -> None:
    image = np.broadcast_to(np.arange(4, dtype=np.float32), (4, 4))[..., None]
    found = change(Sample("a", image), zooms=(0.5,))
    # Columns 1 and 3 are taken; columns 0 to 3 are at -0.25, 0.25, 0.75 and 1.25 between them.
    np.testing.assert_allclose(found[..., 0], [[1, 1.5, 2.5, 3]] * 4, atol=1e-6)


def test_gamma_by_hand() -> None:
    image = np.array([0, 0.5, 1], np.float32).reshape(1, 3, 1)
    # Squares 0, 0.25, 1 have mean 0.41667 and deviation 0.42492 instead of 0.5 and 0.40825.
    found = change(Sample("a", np.concatenate([image, 0 * image + 7], -1)), gamma=2.0)
    np.testing.assert_allclose(found[0, :, 0], [0.09968, 0.33987, 1.06045], atol=1e-5)
    np.testing.assert_array_equal(found[0, :, 1], 7)


@pytest.mark.parametrize("channels", [1, 3, 7, 200])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_images_of_any_type_and_number_of_channels(dtype, channels) -> None:
    image = plane(12, 15, channels, dtype=dtype)
    changes = ValueChanges(mean=(120.0,) * channels, std=(40.0,) * channels)
    params = ValueChangesParams(0.01, 3, (0.7,) * channels, zooms=(0.6,) * channels, gamma=1.2)
    found = changes.apply(image, params).image
    assert (found.dtype, found.shape) == (dtype, image.image.shape)
    normalised = Sample("a", ((image.image.astype(np.float32) - 120) / 40).astype(np.float32))
    expected = ValueChanges().apply(normalised, params).image * 40 + 120
    if dtype != np.float64:
        expected = np.clip(expected, 0, np.iinfo(dtype).max)
    np.testing.assert_allclose(found, expected, atol=0.5 + 1e-2)


def test_noise_is_measured_in_deviations_of_the_images() -> None:
    # 12 bits in uint16, with a deviation of 400: noise with a variance of 0.25 has a deviation of 200.
    image = Sample("a", np.full((100, 100, 1), 2000, np.uint16))
    changes = ValueChanges(mean=(2000.0,), std=(400.0,))
    noise = changes.apply(image, ValueChangesParams(variance=0.25, seed=1)).image.astype(float) - 2000
    assert noise.std() == pytest.approx(200, rel=0.05)


def test_colours_are_blurred_and_reduced_alike() -> None:
    rng, image = np.random.default_rng(0), plane(4, 4, 3)
    alike = ValueChanges(blur=1.0, low_resolution=0.5, by_channel=False)
    drawn = [alike.draw(rng, image) for _ in range(1000)]
    assert all(len({*p.sigmas}) <= 1 and len({*p.zooms}) <= 1 for p in drawn)
    # Half of the 20 % and of the 25 % with a change.
    assert np.mean([any(p.sigmas) for p in drawn]) == pytest.approx(0.1, abs=0.03)
    assert np.mean([any(zoom < 1 for zoom in p.zooms) for p in drawn]) == pytest.approx(0.125, abs=0.035)
    own = [ValueChanges(blur=1.0, low_resolution=0.5).draw(rng, image) for _ in range(200)]
    assert any(len({*p.sigmas}) > 1 for p in own) and any(len({*p.zooms}) > 1 for p in own)


def test_crops_without_a_change_are_not_converted() -> None:
    rng, image = np.random.default_rng(0), plane(4, 4, 1)
    gamma_alone = ValueChanges(gamma=(0.7, 1.5))
    drawn = [gamma_alone.draw(rng, image) for _ in range(300)]
    still = [p for p in drawn if p.gamma == p.inverted_gamma == 1]
    assert any(p.zooms for p in still)
    assert all(gamma_alone.apply(image, p) is image for p in still)
    # 1 - 0.7 * 0.9, as the settings say.
    assert 1 - len(still) / len(drawn) == pytest.approx(0.37, abs=0.09)
