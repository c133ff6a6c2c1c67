import numpy as np
import pytest

from limner.core.label_map import LabelMap
from limner.core.randomness import generator
from limner.core.sample import Sample
from limner.transforms.quarter_turn import QuarterTurn, QuarterTurnParams


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 24, 32, 33, 130])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(6, 9), (3, 6, 6)])
def test_is_numpys_turn_in_the_last_plane(shape, quarters, channels, dtype):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, channels)).astype(dtype)
    semantic = rng.integers(0, 3, shape, dtype=np.uint8)
    turned = QuarterTurn().apply(Sample("x", image, (LabelMap(semantic),)), QuarterTurnParams(quarters))
    plane = (len(shape) - 2, len(shape) - 1)
    assert np.array_equal(turned.image, np.rot90(image, quarters, plane))
    assert np.array_equal(turned.get(LabelMap).labels, np.rot90(semantic, quarters, plane))


def test_spacing_turns_along():
    sample = Sample("x", np.zeros((2, 4, 4, 1)), (), (5.0, 1.0, 2.0))
    assert QuarterTurn().apply(sample, QuarterTurnParams(1)).spacing_mm == (5.0, 2.0, 1.0)
    assert QuarterTurn().apply(sample, QuarterTurnParams(2)).spacing_mm == (5.0, 1.0, 2.0)


def test_every_turn_comes_as_often():
    sample = Sample("x", np.zeros((4, 4, 1)))
    drawn = [QuarterTurn().draw(generator(0, "turn", i), sample).quarters for i in range(4000)]
    for quarters in range(4):
        assert drawn.count(quarters) == pytest.approx(1000, abs=140)


def test_a_crop_that_is_not_square_keeps_its_size():
    sample = Sample("x", np.zeros((4, 6, 1)))
    drawn = {QuarterTurn().draw(generator(0, "turn", i), sample).quarters for i in range(100)}
    assert drawn == {0, 2}
