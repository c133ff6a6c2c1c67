"""Facts about volumes: the values of labelled voxels."""

import json

import numpy as np
import pytest

from limner.checks.volume_facts import QUANTILES, VolumeFacts
from limner.core.picture import Geometry


def test_values_of_labelled_voxels() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((40, 40, 40)) < 0.5).astype(np.uint8) * 7
    image = np.stack([np.where(labels, rng.uniform(0, 1, labels.shape), -1000), labels], -1)
    facts = VolumeFacts.of(Geometry((1, 1, 1))).with_foreground(image.astype(np.float32), labels)
    first, second = facts.foreground
    # Evenly distributed values have evenly spaced quantiles.
    np.testing.assert_allclose(first, np.linspace(0, 1, QUANTILES), atol=0.02)
    assert set(second) == {7}
    assert VolumeFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


@pytest.mark.parametrize("labels", [np.zeros((3, 4, 5), np.uint8), np.ones((3, 4, 6), np.uint8)])
def test_nothing_labelled_has_no_values(labels) -> None:
    facts = VolumeFacts().with_foreground(np.zeros((3, 4, 5, 1), np.float32), labels)
    assert facts.foreground == ()


def test_values_that_are_not_finite_are_left_out() -> None:
    image = np.full((2, 2, 2, 1), np.nan, np.float32)
    assert VolumeFacts().with_foreground(image, np.ones((2, 2, 2), np.uint8)).foreground == ()
    image[0] = 3
    assert set(VolumeFacts().with_foreground(image, np.ones((2, 2, 2), np.uint8)).foreground[0]) == {3}
