import cv2
import numpy as np
import pytest

from limner.checks.runs import Runs, cell_shares, pieces


def test_pieces_by_hand():
    # Value 5: the two corners touch diagonally, the third is alone. Value 0: cut in two by the diagonal? No:
    # corners join it too, so it is one piece.
    mask = np.array([[5, 0, 0, 5], [0, 5, 0, 0], [0, 0, 0, 0]], np.uint8)
    found = pieces(Runs.of(mask))
    assert {v: (c.count, c.median_area) for v, c in found.items()} == {0: (1, 9.0), 5: (2, 1.5)}


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (37, 1), (50, 64), (33, 47)])
@pytest.mark.parametrize("num_values", [1, 2, 5])
def test_pieces_are_those_of_opencv(shape, num_values):
    rng = np.random.default_rng(num_values)
    for kind in (np.uint8, np.int32):
        mask = rng.integers(0, num_values, shape).astype(kind) * 3
        found = pieces(Runs.of(mask))
        assert found.keys() == {*np.unique(mask).tolist()}
        for value, piece in found.items():
            plane = (mask == value).astype(np.uint8)
            count, _, stats, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
            areas = stats[1:, cv2.CC_STAT_AREA]
            assert (piece.count, piece.median_area) == (count - 1, np.median(areas))


def test_cells_that_cut_through_pixels_share_them():
    mask = np.array([[1, 1, 0]], np.uint8)  # two columns of 1.5 pixels: 1.5 / 1.5 and 0.5 / 1.5
    shares = cell_shares(Runs.of(mask), [1], 2)
    np.testing.assert_allclose(shares[1], [[1, 1 / 3], [1, 1 / 3]], rtol=1e-6)


def test_shares_of_all_values_sum_to_one():
    mask = np.random.default_rng(0).integers(0, 4, (61, 83)).astype(np.uint8)
    shares = cell_shares(Runs.of(mask), [0, 1, 2, 3], 8)
    np.testing.assert_allclose(sum(shares.values()), 1, atol=1e-6)
    np.testing.assert_allclose(shares[2][0, 0], cv2.resize((mask == 2) * 1.0, (8, 8), interpolation=3)[0, 0])
