import csv

import numpy as np
import pytest

from limner.reporting.paired import paired_differences


def write(path, rows):
    """Each row: name, then right, falsely predicted and missed pixels of background and cell."""
    heads = [f"{kind}/{name}" for kind in ("right", "false_positives", "false_negatives") for name in "bc"]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("name", *heads), *rows])
    return path


def test_the_difference_is_that_of_the_pooled_scores(tmp_path):
    one = write(tmp_path / "1.csv", [("x", 90, 5, 3, 2, 2, 3), ("y", 80, 10, 5, 5, 5, 5)])
    two = write(
        tmp_path / "2.csv", [("y", 85, 12, 3, 0, 0, 3), ("x", 90, 6, 2, 2, 2, 2), ("z", 1, 1, 1, 1, 1, 1)]
    )
    found = paired_differences(one, two, background=0)
    # Cell of the first: TP 15, FP 7, FN 8: 30 / 45. Of the second on x and y: TP 18, FP 2, FN 5: 36 / 43.
    assert found["foreground_dice"].value == pytest.approx(36 / 43 - 30 / 45)
    assert found["foreground_dice"].num_images == 2
    back = paired_differences(two, one, background=0)
    assert back["foreground_dice"].value == pytest.approx(-found["foreground_dice"].value)


def test_luck_and_skill_are_told_apart(tmp_path):
    draw = np.random.default_rng(0)
    rows, better, same = [], [], []
    for number in range(60):
        right = int(draw.integers(20, 200))
        rows.append((f"i{number}", 500, right, 0, 20, 20, 0))
        better.append((f"i{number}", 500, right + 8, 0, 12, 12, 0))
        wobble = int(draw.integers(-6, 7))
        same.append((f"i{number}", 500, right + wobble, 0, 20 - wobble, 20 - wobble, 0))
    base = write(tmp_path / "0.csv", rows)
    clear = paired_differences(base, write(tmp_path / "1.csv", better), background=0)["foreground_dice"]
    assert clear.is_clear and clear.low < clear.value < clear.high
    assert not paired_differences(base, write(tmp_path / "2.csv", same), background=0)[
        "foreground_dice"
    ].is_clear


def test_files_without_pixels_or_common_images_have_no_difference(tmp_path):
    one = write(tmp_path / "1.csv", [("x", 1, 1, 1, 1, 1, 1), ("y", 1, 1, 1, 1, 1, 1)])
    other = write(tmp_path / "2.csv", [("z", 1, 1, 1, 1, 1, 1)])
    assert paired_differences(one, other, background=0) == {}
    assert paired_differences(one, tmp_path / "none.csv", background=0) == {}
    (tmp_path / "old.csv").write_text("name,foreground_dice\nx,0.5\n")
    assert paired_differences(one, tmp_path / "old.csv", background=0) == {}


@pytest.mark.parametrize(("column", "name"), [("f1", "mean_f1"), ("pq", "mean_pq")])
def test_objects_are_compared_by_the_mean_of_their_images(tmp_path, column, name):
    files = []
    for number, gain in enumerate((0.0, 0.1)):
        rows = [(f"i{i}", 0.2 + 0.01 * i + gain * (1 + i % 2), 3) for i in range(30)]
        files.append(tmp_path / f"{number}.csv")
        with files[-1].open("w", newline="") as file:
            csv.writer(file).writerows([("name", column, "objects"), *rows, ("none", "", 0)])
    found = paired_differences(*files, background=None)
    assert found.keys() == {name}
    assert found[name].value == pytest.approx(0.15)  # half of the images gain 0.1, half 0.2
    assert found[name].is_clear and found[name].num_images == 30


def test_cases_are_compared_by_their_mean_dice(tmp_path):
    head = "name,right/a,false_positives/a,false_negatives/a,case_dice/a,case_dice/b"
    # Class a: 0.5 and 0.7 against 0.6 and 0.9; class b only in the second case: 0.2 against 0.4.
    runs = [("x,1,0,0,0.5,", "y,1,0,0,0.7,0.2"), ("x,1,0,0,0.6,", "y,1,0,0,0.9,0.4")]
    paths = [tmp_path / f"{number}.csv" for number in range(2)]
    for path, rows in zip(paths, runs, strict=True):
        path.write_text("\n".join((head, *rows, "")))
    found = paired_differences(*paths, background=None)
    assert found["mean_case_dice"].value == pytest.approx((0.75 + 0.4) / 2 - (0.6 + 0.2) / 2)
    assert found["mean_case_dice"].low > 0


def test_runs_of_other_classes_have_no_difference(tmp_path):
    rows = [("x", 90, 5, 3, 2, 2, 3), ("y", 80, 10, 5, 5, 5, 5)]
    one, two = write(tmp_path / "1.csv", rows), write(tmp_path / "2.csv", rows)
    assert paired_differences(one, two, background=None)
    two.write_text(two.read_text().replace("/c", "/nucleus"))
    assert paired_differences(one, two, background=None) == {}
