"""Whether orientation means something is read off images whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.planning.orientation import FEWEST_IMAGES, measure_orientation

ROWS = np.linspace(0, 1, 8)[:, None] * np.ones((8, 8))


def noise(count, seed=0):
    return list(np.random.default_rng(seed).random((count, 8, 8)))


def test_noise_may_be_turned_and_mirrored():
    found = measure_orientation(noise(40), noise(40, seed=1))
    assert found.turns
    assert found.mirrors_left_right
    assert found.mirrors_up_down


def test_sky_above_road_may_be_mirrored_left_right_only():
    scenes = [ROWS + 0.2 * grid for grid in noise(40)]
    found = measure_orientation(noise(40), scenes)
    assert found.mirrors_left_right
    assert not found.mirrors_up_down
    assert not found.turns
    assert found.up_down.chance <= 0.01


def test_labels_alone_are_enough_to_tell():
    found = measure_orientation([ROWS + 0.2 * grid for grid in noise(40)], noise(40))
    assert not found.mirrors_up_down


def test_a_heart_at_the_left_forbids_the_left_right_mirror():
    found = measure_orientation([ROWS.T + 0.2 * grid for grid in noise(40)], [])
    assert not found.mirrors_left_right


def test_stripes_that_are_symmetric_may_be_mirrored_but_not_turned():
    # Bright middle rows: the same upside down, another thing when lying on its side.
    stripes = np.abs(np.linspace(-1, 1, 8))[:, None] * np.ones((8, 8))
    found = measure_orientation([stripes + 0.1 * grid for grid in noise(40)], [])
    assert found.mirrors_up_down
    assert found.mirrors_left_right
    assert not found.turns


def test_a_few_images_decide_nothing_but_the_usual_mirror():
    found = measure_orientation(noise(FEWEST_IMAGES - 1), noise(FEWEST_IMAGES - 1))
    assert found.mirrors_left_right
    assert not found.mirrors_up_down
    assert not found.turns


def test_without_any_grid_nothing_is_claimed():
    found = measure_orientation([], [])
    assert found.num_images == 0
    assert not found.turns


def test_the_shared_part_is_that_of_the_model():
    # Each image is s + e with s antisymmetric of squared length |s|^2 and e noise. The shared part of the
    # up-down asymmetry is |s|^2 / (|s|^2 + E|e_a|^2), e_a the antisymmetric half of the noise: half its power.
    rng = np.random.default_rng(3)
    ramp = np.linspace(-1, 1, 8)[:, None] * np.ones((8, 8))
    grids = [ramp + rng.normal(0, 1.0, (8, 8)) for _ in range(400)]
    signal = float((ramp**2).sum())
    expected = signal / (signal + 64 * 1.0 / 2)
    assert measure_orientation(grids, []).up_down.shared == pytest.approx(expected, abs=0.05)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), turns=st.integers(0, 3))
def test_turning_every_image_changes_nothing_about_turns(seed, turns):
    grids = [ROWS + grid for grid in noise(12, seed)]
    turned = [np.rot90(grid, turns) for grid in grids]
    one, other = measure_orientation(grids, []), measure_orientation(turned, [])
    assert one.turn.shared == pytest.approx(other.turn.shared, abs=1e-3)
