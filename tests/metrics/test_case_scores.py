import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.metrics.case_scores import PARTS, ROWS, Ruler, case_scores, count_case

SPACING = (3.0, 1.0, 2.0)
DIAGONAL = np.sqrt((4 * 3.0) ** 2 + 5**2 + (6 * 2.0) ** 2)


def volume(*boxes):
    """Return (4, 5, 6) labels; each box is its class and slices."""
    labels = np.zeros((4, 5, 6), np.uint8)
    for index, *place in boxes:
        labels[tuple(place)] = index
    return labels


ONE = (1, slice(1, 3), slice(1, 4), slice(2, 5))  # 18 voxels of 6 mm3
SHIFTED = (1, slice(1, 3), slice(2, 5), slice(2, 5))  # one step of 1 mm further


def measured(truth, predicted, *, num_classes=2, background=0, **options):
    ruler = Ruler(SPACING, background=background, **options)
    return case_scores(count_case(truth, predicted, num_classes, ruler))


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [
        # truth, prediction, (cases, missed, false, Dice, HD95, distance, surface Dice, volume difference)
        ([], [], (0, 0, 0, np.nan, np.nan, np.nan, np.nan, np.nan)),
        ([ONE], [], (1, 1, 0, 0.0, DIAGONAL, DIAGONAL, 0.0, 18 * 6.0)),
        ([], [ONE], (1, 0, 1, 0.0, DIAGONAL, DIAGONAL, 0.0, 18 * 6.0)),
        ([ONE], [ONE], (1, 0, 0, 1.0, 0.0, 0.0, 1.0, 0.0)),
    ],
    ids=["neither", "missed", "false", "both"],
)
def test_the_four_cases_of_empty_truth_and_prediction(truth, predicted, expected):
    found = measured(volume(*truth), volume(*predicted))
    values = [getattr(found, name)[1] for name in ROWS]
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_a_region_one_step_off():
    found = measured(volume(ONE), volume(SHIFTED))
    # Of 18 voxels, 12 are shared. No voxel has a neighbour of its region on all sides, so all are surface:
    # of each surface, 6 are one step of 1 mm from the other and 12 on it.
    assert found.case_dice[1] == pytest.approx(12 / 18)
    assert found.hd95[1] == pytest.approx(1.0) and found.surface_distance[1] == pytest.approx(
        6 / 18, abs=1e-6
    )
    assert found.surface_dice[1] == 1.0  # within the largest spacing, 3 mm
    assert measured(volume(ONE), volume(SHIFTED), tolerance=0.5).surface_dice[1] == pytest.approx(12 / 18)


def test_the_background_and_a_single_class_are_not_measured():
    found = measured(volume(ONE), volume(SHIFTED))
    assert found.cases[0] == 0 and np.isnan(found.hd95[0])
    assert measured(volume(ONE), volume(SHIFTED), background=None).cases[0] == 1
    alone = measured(volume(), volume(), num_classes=1, background=None)
    assert alone.cases[0] == 0 and np.isnan(alone.case_dice[0])


def test_ignored_voxels_are_left_out_of_both():
    truth = volume(ONE)
    truth[1:3, 2:5, 2:5] = 255
    left = (1, slice(1, 3), slice(1, 2), slice(2, 5))
    # What is left of the truth is 2 x 1 x 3 voxels; the prediction covers them and ignored ones alone.
    assert measured(truth, volume(ONE)).case_dice[1] == 1.0
    assert measured(truth, volume(left)).hd95[1] == 0.0
    everything = np.full((4, 5, 6), 255, np.uint8)
    assert measured(everything, volume(ONE)).cases.sum() == 0


def test_a_mean_over_cases_counts_the_missed_one():
    ruler = Ruler(SPACING, background=0)
    pairs = [([ONE], [ONE]), ([ONE], []), ([], [])]
    rows = sum(count_case(volume(*t), volume(*p), 2, ruler) for t, p in pairs)
    found = case_scores(rows)
    assert found.cases[1] == 2 and found.missed_cases[1] == 1
    assert found.hd95[1] == pytest.approx(DIAGONAL / 2, abs=2 / PARTS)
    assert found.overall()["mean_case_dice"] == pytest.approx(0.5)


def test_two_hundred_and_fifty_five_classes_fit_in_a_byte():
    labels = np.arange(255, dtype=np.uint8).reshape(5, 51)
    rows = count_case(labels, labels, 255, Ruler((1.0, 1.0)))
    assert rows[0].tolist() == [1] * 255


@st.composite
def cases(draw):
    """Some cases as (truth, prediction), and the class and case whose structure is removed."""
    seed = draw(st.integers(0, 10**6))
    random = np.random.default_rng(seed)
    shape = (3, 4, 5)
    pairs = [tuple(random.integers(0, 3, (2, *shape)).astype(np.uint8)) for _ in range(3)]
    return pairs, draw(st.integers(1, 2)), draw(st.integers(0, 2))


@given(cases())
@settings(max_examples=40, deadline=None)
def test_no_mean_improves_when_a_structure_that_is_there_is_no_longer_found(drawn):
    pairs, index, place = drawn
    ruler = Ruler((2.0, 1.0, 0.5), background=0)

    def scores(found):
        return case_scores(sum(count_case(t, p, 3, ruler) for t, p in found))

    truth, predicted = pairs[place]
    if not (truth == index).any():
        return
    removed = np.where(predicted == index, np.uint8(0), predicted)
    before = scores(pairs)
    after = scores([*pairs[:place], (truth, removed), *pairs[place + 1 :]])
    for name in ("case_dice", "surface_dice"):
        assert getattr(after, name)[index] <= getattr(before, name)[index]
        assert after.overall()[f"mean_{name}"] <= before.overall()[f"mean_{name}"]
    for name in ("hd95", "surface_distance"):
        assert getattr(after, name)[index] >= getattr(before, name)[index]
        assert after.overall()[f"mean_{name}"] >= before.overall()[f"mean_{name}"]
    assert after.cases[index] == before.cases[index]


@pytest.mark.parametrize("background", [0, None])
def test_empty_space_around_changes_only_what_is_not_there(background):
    truth, found = volume(ONE), volume(SHIFTED)
    ruler = Ruler(SPACING, background=background)
    wide = [np.pad(labels, [(3, 2), (4, 9), (1, 0)]) for labels in (truth, found)]
    plain = count_case(truth, found, 2, ruler)[:, 1]
    np.testing.assert_array_equal(count_case(*wide, 2, ruler)[:, 1], plain)
