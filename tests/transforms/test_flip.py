import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.core.label_map import LabelMap
from limner.core.randomness import generator
from limner.core.sample import Sample
from limner.transforms.flip import Flip, FlipParams


def sample_of(shape, channels, dtype=np.uint8):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, channels)).astype(dtype)
    semantic = rng.integers(0, 3, shape, dtype=np.uint8)
    return Sample("x", image, (LabelMap(semantic),), (3.0, 1.0, 2.0)[: len(shape)])


def test_left_right_by_hand():
    sample = Sample("x", np.array([[[1], [2], [3]]], np.uint8), (LabelMap(np.array([[0, 1, 2]], np.uint8)),))
    flipped = Flip((1,)).apply(sample, FlipParams((1,)))
    assert flipped.image.ravel().tolist() == [3, 2, 1]
    assert flipped.get(LabelMap).labels.ravel().tolist() == [2, 1, 0]


@settings(max_examples=80, deadline=None)
@given(
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=3),
    channels=st.sampled_from([1, 3, 5, 12, 200]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    chosen=st.sets(st.integers(0, 2), max_size=3),
)
def test_is_numpys_flip_and_its_own_inverse(shape, channels, dtype, chosen):
    sample = sample_of(tuple(shape), channels, dtype)
    axes = tuple(sorted(a for a in chosen if a < len(shape)))
    flip, params = Flip(axes), FlipParams(axes)
    once = flip.apply(sample, params)
    assert np.array_equal(once.image, np.flip(sample.image, axes))
    assert np.array_equal(once.get(LabelMap).labels, np.flip(sample.get(LabelMap).labels, axes))
    assert once.image.flags.c_contiguous
    assert once.image.dtype == dtype
    assert once.spacing_mm == sample.spacing_mm
    twice = flip.apply(once, params)
    assert np.array_equal(twice.image, sample.image)
    assert np.array_equal(twice.get(LabelMap).labels, sample.get(LabelMap).labels)


def test_each_axis_is_an_even_coin():
    sample = sample_of((2, 2), 1)
    drawn = [Flip((0, 1)).draw(generator(0, "flip", i), sample).axes for i in range(4000)]
    for outcome in [(), (0,), (1,), (0, 1)]:
        # 4000 * 1/4 = 1000, standard deviation 27.
        assert drawn.count(outcome) == pytest.approx(1000, abs=140)


def test_an_unlabelled_image_flips_too():
    assert Flip((0,)).apply(Sample("x", np.zeros((3, 3, 1))), FlipParams((0,))).get(LabelMap) is None
