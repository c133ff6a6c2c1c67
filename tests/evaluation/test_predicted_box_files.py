import numpy as np
import pytest

from limner.core.errors import DataError
from limner.core.labels import LabelClass, LabelTable
from limner.core.sample import Record, Sample
from limner.evaluation.predicted_box_files import PredictedBoxes, box_files

LABELS = LabelTable(tuple(LabelClass(name, (i,), (i, i, i), True) for i, name in enumerate("ab")))
SAMPLE = Sample("x/1", np.zeros((50, 100, 3), np.uint8), ())


def records(tmp_path, *names):
    return [Record(name, tmp_path / f"{name}.png", (tmp_path / "l",), None) for name in names]


def folder(tmp_path, **files):
    for name, text in files.items():
        path = tmp_path / "out" / "labels" / f"{name.replace('__', '/')}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "out"


def test_boxes_of_a_detector(tmp_path):
    out = folder(tmp_path, **{"1": "1 0.5 0.5 0.2 0.4 0.25\n\n0 0.1 0.2 0.2 0.4 0.75\n", "2": ""})
    found = box_files(out)
    assert found == out / "labels"
    reader = PredictedBoxes(found, LABELS, records(tmp_path, "x/1", "2", "3"))
    boxes = reader.predict(SAMPLE)
    np.testing.assert_allclose(boxes.xyxy, [[0, 0, 20, 20], [40, 15, 60, 35]], atol=1e-4)
    assert boxes.labels.tolist() == [0, 1] and boxes.scores.tolist() == [0.75, 0.25]
    assert not len(reader.predict(Sample("3", SAMPLE.image, ())).labels)  # no file: nothing was found


def test_boxes_without_scores(tmp_path):
    reader = PredictedBoxes(
        box_files(folder(tmp_path, **{"1": "1 0.5 0.5 0.2 0.4"})), LABELS, records(tmp_path, "x/1")
    )
    assert reader.predict(SAMPLE).scores.tolist() == [1]


@pytest.mark.parametrize(
    ("line", "said"),
    [("2 0.5 0.5 0.2 0.4 0.9", r"class 2[\s\S]*0 a, 1 b"), ("0 0.1 0.1 0.2 0.1 0.2 0.2", "COCO's JSON")],
)
def test_other_lines_are_named(tmp_path, line, said):
    out = folder(tmp_path, **{"1": f"0 0.5 0.5 0.2 0.4 0.9\n{line}\n"})
    reader = PredictedBoxes(box_files(out), LABELS, records(tmp_path, "x/1"))
    with pytest.raises(DataError, match=said) as refused:
        reader.predict(SAMPLE)
    assert "1.txt, line 2" in str(refused.value)


def test_files_that_fit_no_image_or_several_are_refused(tmp_path):
    out = box_files(folder(tmp_path, **{"1": "0 0.5 0.5 0.2 0.4"}))
    with pytest.raises(DataError, match="No file of found boxes has the name"):
        PredictedBoxes(out, LABELS, records(tmp_path, "7"))
    with pytest.raises(DataError, match="several images"):
        PredictedBoxes(out, LABELS, records(tmp_path, "x/1", "y/1"))


def test_masks_and_notes_are_no_boxes(tmp_path):
    (tmp_path / "readme.txt").write_text("three masks")
    assert box_files(tmp_path) is None
