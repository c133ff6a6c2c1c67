"""Three views of a volume whose directions are known."""

import numpy as np

from limner.core.picture import PLAIN, Geometry
from limner.transforms.orthogonal_views import OrthogonalViews, orthogonal_views

SHAPE = (4, 6, 8)
RAS = np.diag([1.0, 1.0, 2.0, 1.0])[:, [2, 1, 0, 3]]
"""x to the right, y to the front, z to the head, in steps of 1, 1 and 2 mm."""


def test_left_is_on_the_right_and_the_head_is_up() -> None:
    volume = np.zeros((*SHAPE, 1), np.float32)
    volume[3, 5, 7] = 1  # the corner at the head, the front and the right of the patient
    labels = np.zeros(SHAPE, np.uint8)
    labels[3, 5, 7] = 1
    picture, shown = orthogonal_views(volume, Geometry((2.0, 1.0, 1.0), RAS), labels)
    # Axial is 8 wide and 6 high, coronal 8 x 8 (4 slices of 2 mm), sagittal 6 x 8.
    assert picture.shape == (8, 8 + 8 + 6, 1)
    # The patient's right is on the left of axial and coronal views, the front on the left of the sagittal.
    rows, columns = np.nonzero(shown)
    assert {*zip(rows.tolist(), columns.tolist(), strict=True)} == {
        *[(0, 0)],
        *[(row, 8) for row in (0, 1)],
        *[(row, 16) for row in (0, 1)],
    }


def test_without_labels_and_place_the_middle_slices_are_shown() -> None:
    volume = np.broadcast_to(np.arange(4, dtype=np.float32)[:, None, None, None], (*SHAPE, 1))
    picture, shown = orthogonal_views(volume, PLAIN)
    assert shown is None
    assert picture.shape == (6, 8 + 8 + 6, 1)
    assert (picture[:, :8] == 2).all()  # the third of four slices
    assert picture[:4, 8, 0].tolist() == [3, 2, 1, 0]


def test_slices_of_a_montage_are_numbered_as_in_the_file() -> None:
    foreground = np.zeros(SHAPE, bool)
    foreground[1:3] = True
    for affine, numbers in ((RAS, [1, 2]), (RAS @ np.diag([-1.0, 1.0, 1.0, 1.0]), [2, 1])):
        views = OrthogonalViews(Geometry((2.0, 1.0, 1.0), affine), SHAPE, foreground)
        cuts = views.montage(foreground, 12)
        assert [views.stored_place(cut) for cut in cuts] == numbers
        assert all(plane.all() for plane in views.of_labels(foreground.astype(np.uint8), cuts))
