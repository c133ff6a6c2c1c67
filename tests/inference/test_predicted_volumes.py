"""Volumes in windows, mirrored, at another spacing and in slices, against plain loops over all of them."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from limner.core.picture import PLAIN, Geometry
from limner.core.plan import InferencePlan
from limner.decoding import probability_maps, resizing
from limner.inference import predicted_slices
from limner.inference.predictor import Predictor
from limner.inference.window_grid import window_starts
from limner.transforms.resample_volume import resample_image
from limner.weights.model import Model

SIZE, WINDOW = (40, 52, 44), (33, 34, 33)


def volume(*size, channels=1):
    return np.random.default_rng(0).normal(100, 50, (*size, channels)).astype(np.float32)


def as_tensor(array):
    return torch.from_numpy(array).movedim(-1, 0)[None]


def predictor(model, **settings):
    return Predictor(model, device="cpu", precision="float32", settings=InferencePlan(**settings))


def changed(model, augment=None, inference=None, **values):
    """The model with other settings of its input, flips and prediction."""
    plan = model.plan
    plan = plan.model_copy(
        update={
            "input": plan.input.model_copy(update=values),
            "augment": plan.augment.model_copy(update=augment or {}),
            "inference": plan.inference.model_copy(update=inference or {}),
        }
    )
    model.plan = plan
    return model


def blended(model, images, *, overlap, flip_axes=()):
    """Logits (1, K, *S): the mean over all mirrors of each window, and a Gaussian average of the windows."""
    size, window = images.shape[2:], WINDOW
    sides = [np.exp(-0.5 * ((np.arange(w) - (w - 1) / 2) / (w / 8)) ** 2) for w in window]
    weight = torch.tensor(np.einsum("i,j,k->ijk", *sides))
    total, norm = torch.zeros(1, 2, *size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    mirrors = [
        [axis + 2 for axis in some]
        for number in range(len(flip_axes) + 1)
        for some in itertools.combinations(flip_axes, number)
    ]
    grid = (window_starts(s, w, overlap) for s, w in zip(size, window, strict=True))
    with torch.no_grad():
        for starts in itertools.product(*grid):
            place = (..., *(slice(s, s + w) for s, w in zip(starts, window, strict=True)))
            seen = [model(images[place].flip(axes)).logits.flip(axes) for axes in mirrors]
            total[place] += torch.stack(seen).mean(0).double() * weight
            norm[place] += weight
    return total / norm


def assert_equal_where_sure(labels, scores):
    """Labels are the argmax of the scores (K, *S), except where two classes are equal to the fifth digit."""
    first, second = np.sort(scores, axis=0)[-1], np.sort(scores, axis=0)[-2]
    sure = first - second > 1e-5
    assert sure.mean() > 0.85
    np.testing.assert_array_equal(labels[sure], scores.argmax(0)[sure])
    assert len(np.unique(labels)) > 1, "the test would prove nothing"


@pytest.fixture
def model(tiny_model):
    return tiny_model(channels=1, spatial_dims=3)


@pytest.mark.parametrize("flip_axes", [(), (0, 2)])
def test_windows_of_volumes_are_mirrored_and_blended(model, flip_axes):
    model = changed(model, augment={"flip_axes": flip_axes})
    image = volume(*SIZE)
    expected = blended(model, as_tensor(image), overlap=0.5, flip_axes=flip_axes)
    found = predictor(model, window=WINDOW, overlap=0.5, flips=True).predict(image, probabilities=True)
    np.testing.assert_allclose(found.probabilities, expected.softmax(1)[0].numpy(), atol=1e-5)
    assert_equal_where_sure(found.semantic, expected[0].numpy())
    again = predictor(model, window=WINDOW, overlap=0.5, flips=True).predict(image)
    np.testing.assert_array_equal(again.semantic, found.semantic)


def test_volumes_smaller_than_a_window_are_padded_as_in_training(model):
    """With the mean of the plan, as patches are; reflections would be anatomy that does not exist."""
    image = volume(20, 50, 30)
    expected = np.full((33, 50, 33, 1), model.plan.input.mean, np.float32)
    expected[6:26, :, 1:31] = image
    with torch.no_grad():
        scores = blended(model, as_tensor(expected), overlap=0.5).softmax(1)[0, :, 6:26, :, 1:31]
    as_trained = predictor(model, window=WINDOW, overlap=0.5, padding="mean")
    found = as_trained.predict(image, probabilities=True)
    np.testing.assert_allclose(found.probabilities, scores.numpy(), atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 2**20])
@pytest.mark.parametrize("window", [WINDOW, None])
@pytest.mark.parametrize("spacing", [(2.0, 0.5, 0.8), (0.7, 1.3, 1.0)])
def test_scores_return_to_the_grid_of_the_file(model, spacing, window, chunk, monkeypatch):
    """The labels are the argmax of the scores of the whole volume, resized all at once."""
    monkeypatch.setattr(resizing, "_CHUNK_ELEMENTS", chunk)
    model = changed(model, resample=True, spacing_mm=(1.0, 1.0, 1.0))
    shape = tuple(round(side / step) for side, step in zip(SIZE, spacing, strict=True))
    image = volume(*shape)
    seen = resample_image(image, SIZE, thick=0 if spacing[0] == 2 else None)
    if window is None:
        with torch.no_grad():
            scores = model(as_tensor(seen)).logits
    else:
        scores = blended(model, as_tensor(seen), overlap=0.5).float()
    expected = F.interpolate(scores, size=shape, mode="trilinear", align_corners=False)
    place = Geometry(spacing)
    options = predictor(model, window=window, overlap=0.5)
    found = options.predict(image, geometry=place, probabilities=True)
    np.testing.assert_allclose(found.probabilities, expected.softmax(1)[0].numpy(), atol=2e-5)
    assert_equal_where_sure(found.semantic, expected[0].numpy())
    np.testing.assert_array_equal(options.predict(image, geometry=place).semantic, found.semantic)


def test_probabilities_of_large_volumes_are_halved_then_mapped(model, monkeypatch):
    image = volume(*SIZE)
    usual = predictor(model, window=WINDOW).predict(image, probabilities=True)
    assert usual.probabilities.dtype == np.float32
    for limit, kind in ((2 * 2 * image.size, np.ndarray), (0, np.memmap)):
        monkeypatch.setattr(probability_maps, "MOST_BYTES", limit)
        found = predictor(model, window=WINDOW).predict(image, probabilities=True)
        assert found.probabilities.dtype == np.float16 and type(found.probabilities) is kind
        np.testing.assert_allclose(found.probabilities, usual.probabilities, atol=5e-4)
        np.testing.assert_array_equal(found.semantic, usual.semantic)


def test_zooms_of_volumes_average_their_probabilities(model):
    image, zoom = volume(36, 40, 44), 0.9
    small = F.interpolate(
        as_tensor(image), size=[max(33, round(s * zoom)) for s in image.shape[:3]], mode="trilinear"
    )
    with torch.no_grad():
        zoomed = F.interpolate(model(small).logits, size=image.shape[:3], mode="trilinear").softmax(1)
        expected = (zoomed + model(as_tensor(image)).logits.softmax(1)) / 2
    found = predictor(model, scales=(1.0, zoom)).predict(image, probabilities=True)
    np.testing.assert_allclose(found.probabilities, expected[0].numpy(), atol=1e-5)


def sliced(tiny_model, axis, **values):
    return changed(tiny_model(channels=1), slice_axis=axis, **values)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("settings", [{}, {"flips": True, "scales": (1.0, 0.8)}, {"window": (33, 33)}])
def test_slices_in_batches_equal_slices_one_by_one(tiny_model, axis, settings, monkeypatch):
    image = volume(9, 40, 44).swapaxes(0, axis)
    plain = Predictor(tiny_model(channels=1), device="cpu", settings=InferencePlan(**settings))
    each = [plain.predict(np.ascontiguousarray(s), probabilities=True) for s in np.moveaxis(image, axis, 0)]
    expected = np.stack([one.probabilities for one in each], axis + 1)
    model = sliced(tiny_model, axis)
    for pixels in (1, 4 * 40 * 44, 2**30):
        monkeypatch.setattr(predicted_slices, "PIXELS_AT_ONCE", pixels)
        batches = []
        hook = model.network.register_forward_pre_hook(lambda _, seen, b=batches: b.append(len(seen[0])))
        found = predictor(model, **settings).predict(image, probabilities=True)
        hook.remove()
        assert max(batches) == min(9, max(1, pixels // (40 * 44)))
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
        assert_equal_where_sure(found.semantic, expected)


def test_slices_at_another_spacing_return_to_their_volume(tiny_model):
    image = volume(7, 40, 44)
    model = sliced(tiny_model, 0, resample=True, spacing_mm=(1.0, 1.0))
    found = predictor(model).predict(image, geometry=Geometry((3.0, 1.2, 0.9)), probabilities=True)
    seen = resample_image(image, (7, 48, 40))
    with torch.no_grad():
        logits = Model.from_plan(model.plan, model.network)(torch.from_numpy(seen).movedim(-1, 1)).logits
    expected = F.interpolate(logits, size=(40, 44), mode="bilinear").softmax(1).movedim(0, 1).numpy()
    np.testing.assert_allclose(found.probabilities, expected, atol=2e-5)


def test_a_volume_without_spacing_is_refused_where_it_matters(model):
    model = changed(model, resample=True, spacing_mm=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="does not state its spacing"):
        predictor(model).predict(volume(*SIZE), geometry=PLAIN)


def test_only_the_largest_part_is_left_if_the_settings_say_so(tiny_model):
    model, image = tiny_model(channels=1, spatial_dims=3), volume(36, 36, 36)
    names = model.labels.names
    last = [part for part in model.network.modules() if isinstance(part, torch.nn.Conv3d)][-1]
    scores = predictor(model).predict(image, probabilities=True).probabilities
    logits = np.log(scores[1] / scores[0])
    with torch.no_grad():
        last.bias[1] -= float(np.quantile(logits, 0.97))  # 3 % of the voxels are of class 1
    everything = predictor(model).predict(image).semantic
    cleaned = predictor(model, largest_component=(names[1],)).predict(image).semantic
    assert (cleaned != everything).any() and (everything[cleaned != everything] == 1).all()
    with pytest.raises(ValueError, match="no class named 'livre'"):
        predictor(model, largest_component=("livre",)).predict(image)
