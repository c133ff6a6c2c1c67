"""Averaging of several models."""

import numpy as np
import pytest

from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable
from limner.core.prediction import ClassPrediction, SemanticPrediction
from limner.inference.ensemble import Ensemble
from limner.inference.predictor import Predictor
from limner.tasks import find_task


def predictor(model):
    return Predictor(model, device="cpu")


def test_label_maps_are_those_of_the_mean_probability():
    # Two models that are sure of class 1 outvote none that is surer of class 0.
    chances = [[[0.9], [0.1]], [[0.4], [0.6]], [[0.4], [0.6]]]
    found = [SemanticPrediction("x", np.zeros(1, np.uint8), np.array(c, np.float32)) for c in chances]
    mean = find_task("semantic").averaged(iter(found), probabilities=True)
    np.testing.assert_allclose(mean.probabilities[:, 0], [1.7 / 3, 1.3 / 3], rtol=1e-6)
    assert mean.semantic.tolist() == [0] and mean.semantic.dtype == np.uint8
    assert find_task("semantic").averaged(iter(found), probabilities=False).probabilities is None
    np.testing.assert_allclose(found[0].probabilities[:, 0], [0.9, 0.1])  # not added to


@pytest.mark.parametrize("task", ["classification"])
def test_classes_of_images_have_the_mean_probability(task):
    found = [ClassPrediction("x", np.array(c, np.float32)) for c in ([0.9, 0.1], [0.2, 0.8], [0.2, 0.8])]
    mean = find_task(task).averaged(iter(found), probabilities=True)
    assert mean.label == 1
    np.testing.assert_allclose(mean.probabilities, [1.3 / 3, 1.7 / 3], rtol=1e-6)


def test_one_model_twice_predicts_like_one(tiny_model):
    one = predictor(tiny_model())
    image = np.random.default_rng(0).integers(0, 255, (40, 44, 3)).astype(np.uint8)
    alone = one.predict(image, probabilities=True)
    both = Ensemble([one, predictor(tiny_model())]).predict(image, probabilities=True)
    np.testing.assert_allclose(both.probabilities, alone.probabilities, atol=1e-6)
    assert (both.semantic == alone.semantic).all()


def test_other_classes_and_inputs_are_refused(tiny_model):
    one, other = predictor(tiny_model()), predictor(tiny_model())
    names = LabelTable(tuple(LabelClass(n, (i,), (i, 0, 0)) for i, n in enumerate(("background", "else"))))
    other.model.labels = names
    with pytest.raises(ConfigError, match="other classes"):
        Ensemble([one, other])
    with pytest.raises(ConfigError, match="other inputs"):
        Ensemble([one, predictor(tiny_model(channels=1))])


def test_objects_are_not_averaged():
    assert not any(
        find_task(task).averages for task in ("instance", "detection", "panoptic", "text-detection")
    )
