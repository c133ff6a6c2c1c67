import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from limner.metrics import boundary
from limner.metrics.boundary import boundary_scores, count_boundaries

K = 3
SQUARE = np.ones((3, 3), bool)
truths = hnp.arrays(np.uint8, (9, 12), elements=st.sampled_from([0, 1, 2, 255]))
predictions = hnp.arrays(np.uint8, (9, 12), elements=st.integers(0, K - 1))


@pytest.fixture
def wide(monkeypatch):
    """Distances of more than one pixel on tiny images: the diagonal of 9x12 is 15."""
    monkeypatch.setattr(boundary, "BAND", 0.13)
    monkeypatch.setattr(boundary, "TOLERANCE", 0.2)


def reference(truth, predicted, band=2, tolerance=3):
    """Class by class with scipy's binary morphology, one pixel at a time."""
    counted = truth != 255
    rows = np.zeros((7, K), int)
    for k in range(K):
        t, p = (truth == k) & counted, (predicted == k) & counted
        bands = [m & ~ndimage.binary_erosion(m, SQUARE, iterations=band, border_value=0) for m in (t, p)]
        rows[:3, k] = (bands[0] & bands[1]).sum(), bands[0].sum(), bands[1].sum()
        others = [ndimage.binary_dilation(counted & ~m, SQUARE) for m in (t, p)]
        outlines = [m & other for m, other in zip((t, p), others, strict=True)]
        near = [ndimage.binary_dilation(o, SQUARE, iterations=tolerance) for o in outlines]
        rows[3:, k] = (
            (outlines[0] & near[1]).sum(), outlines[0].sum(), (outlines[1] & near[0]).sum(), outlines[1].sum()
        )  # fmt: skip
    return rows


@given(truths, predictions)
def test_equals_binary_morphology_class_by_class(truth, predicted):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boundary, "BAND", 0.13)
        patch.setattr(boundary, "TOLERANCE", 0.2)
        np.testing.assert_array_equal(count_boundaries(truth, predicted, K), reference(truth, predicted))


def test_scores_by_hand(monkeypatch):
    monkeypatch.setattr(boundary, "BAND", 0)  # one pixel is the least
    monkeypatch.setattr(boundary, "TOLERANCE", 0)
    truth, predicted = np.zeros((2, 7, 7), np.uint8)
    truth[2:5, 2:5] = 1
    predicted[2:5, 3:6] = 1
    scores = boundary_scores(count_boundaries(truth, predicted, 3))
    # Both squares are 3 by 3 with a border of 8 pixels; of the 6 pixels in common, the centre of one is
    # border of the other: (2, 3), (2, 4), (4, 3), (4, 4) are border of both. 4 / (8 + 8 - 4).
    assert scores.iou[1] == pytest.approx(4 / 12)
    # Each outline lies within one pixel of the other.
    assert scores.f1[1] == 1 and np.isnan(scores.iou[2]) and np.isnan(scores.f1[2])


def test_a_missed_object_has_zero_and_a_full_image_has_no_outline(wide):
    truth = np.zeros((9, 12), np.uint8)
    truth[3:6, 3:6] = 1
    missed = boundary_scores(count_boundaries(truth, np.zeros_like(truth), 2))
    assert missed.iou[1] == 0 and missed.f1.tolist() == [0, 0]
    full = boundary_scores(count_boundaries(np.zeros_like(truth), np.zeros_like(truth), 2))
    assert np.isnan(full.f1).all() and full.iou[0] == 1


@given(truths, predictions, st.permutations(range(K)))
def test_naming_the_classes_otherwise_changes_nothing_else(truth, predicted, order):
    lookup = np.arange(256, dtype=np.uint8)
    lookup[:K] = order
    straight = count_boundaries(truth, predicted, K)
    renamed = count_boundaries(lookup[truth], lookup[predicted], K)
    np.testing.assert_array_equal(renamed[:, list(order)], straight)


def test_many_classes_are_taken_in_turns_and_volumes_by_slices():
    draw = np.random.default_rng(0)
    truth, predicted = draw.integers(0, 150, (2, 2, 40, 40)).astype(np.uint8)
    few_truth, few_predicted = truth % 3, predicted % 3
    counts = count_boundaries(truth, predicted, 150)
    assert counts.shape == (7, 150) and (counts[4] > 0).all()
    whole = count_boundaries(few_truth, few_predicted, 3)
    parts = [count_boundaries(t, p, 3) for t, p in zip(few_truth, few_predicted, strict=True)]
    np.testing.assert_array_equal(whole, parts[0] + parts[1])
    # The same three classes, spread over three turns.
    far = np.array([0, 70, 140], np.uint8)
    np.testing.assert_array_equal(
        count_boundaries(far[few_truth], far[few_predicted], 150)[:, [0, 70, 140]], whole
    )


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(4))
def test_f1_is_made_of_the_surface_distances_of_monai(seed):
    surfaces = pytest.importorskip("monai.metrics.utils", reason="MONAI is not installed")
    rng = np.random.default_rng(seed)
    truth, predicted = np.zeros((2, 60, 80), np.uint8)
    for top, left in (
        (5, 5),
        (5, 45),
        (35, 5),
        (35, 45),
    ):  # apart from each other and from the image's border
        height, width = rng.integers(8, 18, 2)
        truth[top : top + height, left : left + width] = 1
        down, right, taller, wider = rng.integers(-3, 4, 4)
        predicted[top + down : top + down + height + taller, left + right : left + right + width + wider] = 1
    tolerance = max(1, round(boundary.TOLERANCE * np.hypot(60, 80)))
    # Outlines of rectangles are the same with four neighbours, as MONAI has them, and with eight.
    edges = surfaces.get_mask_edges(predicted == 1, truth == 1, crop=False)
    near = [
        surfaces.get_surface_distance(*pair, distance_metric="chessboard") <= tolerance
        for pair in (edges, edges[::-1])
    ]
    precision, recall = (float(part.mean()) for part in near)
    found = boundary_scores(count_boundaries(truth, predicted, 2))
    assert found.f1[1] == pytest.approx(2 * precision * recall / (precision + recall))
    assert 0 < found.f1[1] < 1 or seed
