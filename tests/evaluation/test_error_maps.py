import numpy as np

from limner.core.labels import LabelClass, LabelTable
from limner.evaluation.error_maps import error_map, write_error_map


def table(*names):
    return LabelTable(tuple(LabelClass(n, (i,), (i, 0, 0)) for i, n in enumerate(names)))


def test_every_outcome_has_its_grey():
    truth = np.array([[0, 0, 1, 1, 1, 255]], np.uint8)
    found = np.array([[0, 1, 0, 1, 2, 0]], np.uint8)
    greys = error_map(truth, found, table("background", "cell", "worm"))
    assert greys.tolist() == [[0, 128, 64, 255, 192, 32]]


def test_without_a_background_there_is_only_right_and_wrong():
    truth, found = np.array([[0, 0, 1]], np.uint8), np.array([[0, 1, 0]], np.uint8)
    assert error_map(truth, found, table("road", "grass")).tolist() == [[255, 192, 192]]


def test_names_keep_their_folders_and_stay_inside(tmp_path):
    values = np.zeros((2, 3), np.uint8)
    assert write_error_map(tmp_path, "a/b.c", values) == tmp_path / "maps" / "a" / "b.c.png"
    assert write_error_map(tmp_path, "../../b", values) == tmp_path / "maps" / "b.png"
    volume = write_error_map(tmp_path, "v", np.zeros((2, 3, 4), np.uint8))
    assert np.load(volume).shape == (2, 3, 4)
