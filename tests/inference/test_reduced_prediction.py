"""Models whose JPEGs are decoded at a part of their size."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from limner.core.plan import ResizePlan
from limner.core.sample import Sample
from limner.images.read_image import read_image
from limner.inference.ensemble import Ensemble
from limner.inference.fitted_images import fit_images
from limner.inference.predictor import Predictor

SMALL = ResizePlan(shortest=40)  # smaller images would be padded


@pytest.fixture
def path(tmp_path):
    """A smooth photo of 384 x 256 pixels, which is decoded at half its size."""
    small = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    pixels = cv2.resize(small, (384, 256), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95)
    return tmp_path / "a.jpg"


def reducing(model, **changes):
    plan = model.plan
    changes = {"resize": SMALL, "reduced_decoding": True} | changes
    model.plan = plan.model_copy(update={"input": plan.input.model_copy(update=changes)})
    return model


def predictor_of(model):
    return Predictor(model, device="cpu", precision="float32")


def test_a_file_is_predicted_from_a_part_of_its_pixels(tiny_model, path):
    model = reducing(tiny_model())
    found = predictor_of(model).predict(path, probabilities=True)
    assert found.semantic.shape == (256, 384) and found.probabilities.shape == (2, 256, 384)
    # Pillow decodes at half the size too; the rest in plain torch.
    with Image.open(path) as opened:
        opened.draft("RGB", (192, 128))
        pixels = np.array(opened)
    assert pixels.shape == (128, 192, 3)
    seen = F.interpolate(
        torch.from_numpy(pixels).movedim(-1, 0)[None].float(), (40, 60), mode="bilinear", antialias=True
    )
    with torch.no_grad():
        logits = model(seen).logits
    expected = F.interpolate(logits, (256, 384), mode="bilinear")[0].softmax(0).numpy()
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)


def test_files_pictures_and_samples_are_predicted_alike(tiny_model, path):
    predictor = predictor_of(reducing(tiny_model()))
    expected = predictor.predict(path, probabilities=True).probabilities
    picture = read_image(path, reduce=predictor.reduce)
    assert picture.reduction == 2
    np.testing.assert_array_equal(predictor.predict(picture, probabilities=True).probabilities, expected)
    sample = Sample("a", picture.array, reduction=picture.reduction)
    labels = predictor.predict(path).semantic
    np.testing.assert_array_equal(predictor.predict_sample(sample).semantic, labels)
    of_all_pixels = predictor.predict(read_image(path).array, probabilities=True).probabilities
    assert 0 < np.abs(of_all_pixels - expected).max() < 0.1


def test_a_model_without_the_setting_sees_every_pixel(tiny_model, path):
    predictor = predictor_of(reducing(tiny_model(), reduced_decoding=None))
    assert predictor.reduce is None
    whole = predictor.predict(read_image(path).array, probabilities=True)
    found = predictor.predict(path, probabilities=True)
    np.testing.assert_array_equal(found.probabilities, whole.probabilities)


def test_the_size_is_that_of_the_prediction(tiny_model, path):
    model = reducing(tiny_model(resize=ResizePlan(shortest=128)))
    assert read_image(path, reduce=predictor_of(model).reduce).reduction == 1  # 256 is twice 128
    model = reducing(tiny_model(resize=ResizePlan()))
    assert predictor_of(model).reduce is None


def test_an_export_predicts_as_its_model(tiny_model, both, path):
    ours, theirs = both(reducing(tiny_model()))
    assert ours.reduce == theirs.reduce and ours.reduce is not None
    expected, found = (each.predict(path, probabilities=True) for each in (ours, theirs))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)
    assert found.probabilities.shape == (2, 256, 384)


def test_models_of_an_ensemble_decode_less_if_all_do(tiny_model):
    one, same = (predictor_of(reducing(tiny_model())) for _ in range(2))
    other = predictor_of(reducing(tiny_model(), reduced_decoding=None))
    assert Ensemble([one, same]).reduce == one.reduce
    assert Ensemble([one, other]).reduce is None


def test_a_reduced_image_is_never_predicted_at_its_reduced_size():
    images = torch.zeros(1, 3, 10, 20)
    assert fit_images(images, ResizePlan(), reduction=4).shape == (1, 3, 40, 80)
    assert fit_images(images, ResizePlan(zoom=0.5), reduction=4).shape == (1, 3, 20, 40)
