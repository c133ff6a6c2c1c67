"""Averaging of several models."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from limner.core.errors import ConfigError
from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import InferencePlan
from limner.core.prediction import ClassPrediction, SemanticPrediction
from limner.inference.ensemble import Ensemble
from limner.inference.predictor import Predictor
from limner.tasks import find_task


def predictor(model):
    return Predictor(model, device="cpu")


NAMES = LabelTable(tuple(LabelClass(n, (i,), (i, 0, 0)) for i, n in enumerate(("background", "cell"))))


def mean_of(task, found, *, probabilities=True, **settings):
    options = {"labels": NAMES, "settings": InferencePlan(**settings), "probabilities": probabilities}
    return find_task(task).averaged(iter(found), **options)


def maps(*chances):
    """Return predictions of one row each, given the probability of the cell at each pixel."""
    rows = [np.array([chance], np.float32) for chance in chances]
    return [SemanticPrediction("x", (row > 0.5).astype(np.uint8), np.stack([1 - row, row])) for row in rows]


def test_label_maps_are_those_of_the_mean_probability():
    # One sure model outvotes two unsure ones at the first pixel, and is outvoted at the second.
    found = maps([0.1, 0.4], [0.6, 0.6], [0.6, 0.6])
    mean = mean_of("semantic", found)
    np.testing.assert_allclose(mean.probabilities[1], [[1.3 / 3, 1.6 / 3]], rtol=1e-6)
    assert mean.semantic.tolist() == [[0, 1]] and mean.semantic.dtype == np.uint8
    assert mean_of("semantic", found, probabilities=False).probabilities is None
    np.testing.assert_allclose(found[0].probabilities[1], [[0.1, 0.4]])  # not changed


def test_small_parts_of_the_mean_are_removed():
    found = maps([0.9, 0.9, 0.1, 0.9], [0.7, 0.7, 0.2, 0.7])
    assert mean_of("semantic", found).semantic.tolist() == [[1, 1, 0, 1]]
    assert mean_of("semantic", found, largest_component=("cell",)).semantic.tolist() == [[1, 1, 0, 0]]


def test_small_parts_are_removed_where_all_models_do_so(tiny_model):
    one, other = predictor(tiny_model()), predictor(tiny_model())
    name = one.labels.names[1]
    one.settings = one.settings.model_copy(update={"largest_component": (name,)})
    assert Ensemble([one, other]).settings.largest_component is None
    other.settings = one.settings
    assert Ensemble([one, other]).settings.largest_component == (name,)


def test_classes_of_images_have_the_mean_probability():
    found = [ClassPrediction("x", np.array(c, np.float32)) for c in ([0.9, 0.1], [0.2, 0.8], [0.2, 0.8])]
    mean = mean_of("classification", found)
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
    with pytest.raises(ConfigError, match="different classes"):
        Ensemble([one, other])
    with pytest.raises(ConfigError, match="different inputs"):
        Ensemble([one, predictor(tiny_model(channels=1))])


def test_objects_are_not_averaged():
    assert not any(
        find_task(task).averages for task in ("instance", "detection", "panoptic", "text-detection")
    )


def test_small_parts_are_removed_from_classes_that_all_models_list(tiny_model):
    image = np.random.default_rng(0).integers(0, 255, (40, 44, 3)).astype(np.uint8)
    first, second = predictor(tiny_model()), predictor(tiny_model())
    # Random weights predict one class nearly everywhere: its rival gets specks by a shift of the last layer.
    chances = first.predict(image, probabilities=True).probabilities
    shift = float(np.quantile(np.log(chances[1] / chances[0]), 0.95))
    for one in (first, second):
        with torch.no_grad():
            [m for m in one.model.network.modules() if isinstance(m, torch.nn.Conv2d)][-1].bias[1] -= shift
    name = first.labels.names[1]
    plain = Ensemble((first, second)).predict(image).semantic
    first.settings = first.settings.model_copy(update={"largest_component": (name,)})
    assert np.array_equal(Ensemble((first, second)).predict(image).semantic, plain)
    second.settings = first.settings
    cleaned = Ensemble((first, second)).predict(image).semantic
    assert (
        ndimage.label(plain == 1, np.ones((3, 3)))[1] > 1 == ndimage.label(cleaned == 1, np.ones((3, 3)))[1]
    )
