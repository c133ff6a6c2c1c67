import csv
import json
import shutil

import cv2
import numpy as np
import pytest

import limner
from limner.core.errors import ConfigError, DataError, ModelError


def test_the_validation_images_of_the_training_are_scored(run, cells):
    result = limner.evaluate(run.root, device="cpu", precision="float32")
    assert result.out == run.evaluation("val") and result.split == "val" and not result.skipped
    scores = json.loads((result.out / "scores.json").read_text("utf-8"))
    # Counted again from the files, with nothing of limner's but the predictions.
    predictor = limner.load(run.root, device="cpu", precision="float32")
    matrix = np.zeros((2, 2), int)
    for name in ("cell_3", "cell_4"):
        truth = cv2.imread(str(cells / "masks" / f"{name}.png"), 0) // 255
        np.add.at(matrix, (truth, predictor.predict(cells / "images" / f"{name}.png").semantic), 1)
    assert scores["confusion_matrix"] == matrix.tolist()
    assert scores["num_images"] == 2 and scores["split"] == "val"
    dice = 2 * matrix[1, 1] / (matrix[1].sum() + matrix[:, 1].sum())
    assert scores["foreground_dice"] == pytest.approx(dice)
    assert f'Foreground Dice</td><td style="text-align:right">{dice:.4f}' in result._repr_html_()
    rows = list(csv.DictReader((result.out / "per_image.csv").open(encoding="utf-8")))
    assert [row["name"] for row in rows] == ["cell_3", "cell_4"]
    assert len(result.pictures) == 2 and all(path.is_file() for path in result.pictures)


def test_other_splits_and_other_places(run, tmp_path):
    result = limner.evaluate(run.model, split="train", out=tmp_path / "here", device="cpu")
    assert result.scores.num_images == 3 and (tmp_path / "here" / "scores.json").is_file()
    same = limner.evaluate(run.root, data=run.root.parent.parent / "data", split="train", device="cpu")
    assert same.scores.num_images == 3 and same.out == run.evaluation("train")
    with pytest.raises(ConfigError, match=r"no split 'vall' \(did you mean 'val'\?\); there is train, val"):
        limner.evaluate(run.root, split="vall", device="cpu")


def test_foreign_data_with_other_values_is_matched_by_name(run, cells, tmp_path):
    own = limner.evaluate(run.root, data=cells, out=tmp_path / "own", device="cpu")
    assert own.scores.num_images == 5 and own.split == "data"  # every image that has a mask
    foreign = tmp_path / "foreign"
    cells.rename(foreign)
    for path in (foreign / "masks").iterdir():
        cv2.imwrite(str(path), 5 - cv2.imread(str(path), 0) // 255)
    (foreign / "dataset.yaml").write_text(
        "classes:\n- {name: Cell, value: 4}\n- {name: background, value: 5}\n"
    )
    other = limner.evaluate(run.root, data=foreign, out=tmp_path / "other", device="cpu")
    np.testing.assert_array_equal(own.scores.confusion, other.scores.confusion)
    (foreign / "dataset.yaml").write_text(
        "classes:\n- {name: nerve, value: 4}\n- {name: background, value: 5}\n"
    )
    with pytest.raises(DataError, match="(?s)not trained on.*nerve"):
        limner.evaluate(run.root, data=foreign, device="cpu")


def test_results_of_other_data_never_take_the_place_of_the_trainings(run, cells, tmp_path):
    own = limner.evaluate(run.root, device="cpu")
    before = (own.out / "scores.json").read_bytes()
    other = tmp_path / "clinic" / "val"
    shutil.copytree(cells, other)
    named_like_a_split = limner.evaluate(run.root, data=other, device="cpu")
    assert named_like_a_split.out == run.evaluation("clinic-val")
    a_split_of_it = limner.evaluate(run.root, data=other.rename(tmp_path / "b"), split="val", device="cpu")
    assert a_split_of_it.out == run.evaluation("b-val")
    assert (own.out / "scores.json").read_bytes() == before


def test_a_bad_file_is_skipped_and_said(run, cells):
    (cells / "masks" / "cell_3.png").write_bytes(b"")
    result = limner.evaluate(run.root, device="cpu")
    assert [s.name for s in result.skipped] == ["cell_3"] and result.scores.num_images == 1
    scores = json.loads((result.out / "scores.json").read_text("utf-8"))
    assert "cell_3.png" in scores["skipped"][0]["reason"]
    (cells / "images" / "cell_4.png").write_bytes(b"")
    with pytest.raises(DataError, match="(?s)None of the 2 images could be scored.*cell_3"):
        limner.evaluate(run.root, device="cpu")


def test_data_that_changed_since_the_training(run, cells):
    (cells / "images" / "cell_4.png").unlink()
    with pytest.raises(DataError, match=r"(?s)no longer in its data.*1 missing, such as cell_4.*--data"):
        limner.evaluate(run.root, device="cpu")


def test_a_model_without_its_run_needs_data(run, tmp_path):
    lone = tmp_path / "lone"
    run.model.rename(lone)
    with pytest.raises(ModelError, match="--data"):
        limner.evaluate(lone, device="cpu")


def test_masks_of_any_program_are_scored_with_the_same_code(run, cells, tmp_path):
    limner.predict(run.root, cells / "images", out=tmp_path / "predicted", device="cpu", precision="float32")
    by_model = limner.evaluate(
        run.root, data=cells, out=tmp_path / "one", boundaries=True, device="cpu", precision="float32"
    )
    by_files = limner.evaluate(
        predictions=tmp_path / "predicted", data=cells, out=tmp_path / "two", boundaries=True
    )
    for name in ("scores.json", "per_image.csv"):
        assert (by_files.out / name).read_bytes() == (by_model.out / name).read_bytes()
    assert len(by_files.pictures) == 5 and by_model.scores.parts.boundary is not None


def test_a_readme_beside_masks_is_no_prediction_of_words(cells, tmp_path):
    (cells / "masks" / "readme.txt").write_text("made by hand", "utf-8")
    found = limner.evaluate(predictions=cells / "masks", data=cells, out=tmp_path / "out")
    assert found.scores.num_images == 5 and found.scores.to_dict()["mean_iou"] == 1


def test_predicted_masks_that_do_not_fit_are_named(cells, tmp_path):
    masks = tmp_path / "theirs"
    masks.mkdir()
    for number in range(4):
        cv2.imwrite(str(masks / f"cell_{number}.png"), np.zeros((40 + number, 50), np.uint8))
    cv2.imwrite(str(masks / "cell_1.png"), np.zeros((8, 9), np.uint8))
    cv2.imwrite(str(masks / "cell_2.png"), np.full((42, 50), 7, np.uint8))
    result = limner.evaluate(predictions=masks, data=cells, out=tmp_path / "out")
    assert result.scores.num_images == 2  # cell_0 and cell_3
    reasons = {s.name: s.reason for s in result.skipped}
    assert "9x8 pixels" in reasons["cell_1"] and "50x41" in reasons["cell_1"]
    assert "[7]" in reasons["cell_2"] and "cell_4.png" in reasons["cell_4"]
    with pytest.raises(DataError, match="(?s)No predicted masks.*no such folder"):
        limner.evaluate(predictions=tmp_path / "nowhere", data=cells)


def test_what_does_not_go_together_is_refused(run, cells, tmp_path):
    for options, match in (
        ({}, "Specify a run or a model"),
        ({"predictions": tmp_path}, "with --data"),
        ({"predictions": tmp_path, "data": cells, "run_or_model": run.root}, "not both"),
        ({"predictions": tmp_path, "data": cells, "thresholds": True}, "probabilities"),
    ):
        with pytest.raises(ConfigError, match=match):
            limner.evaluate(**options)


def test_thresholds_of_a_model(run, tmp_path):
    result = limner.evaluate(run.root, split="train", thresholds=True, device="cpu", out=tmp_path / "t")
    scores = json.loads((result.out / "scores.json").read_text("utf-8"))
    rows = list(csv.DictReader((result.out / "thresholds.csv").open(encoding="utf-8", newline="")))
    assert scores["thresholds"]["class_name"] == "cell" and len(rows) == 1001
    # From a probability of 0 on everything is predicted as the class: its part of the pixels is right.
    cell, background = scores["classes"][1]["pixels"], scores["classes"][0]["pixels"]
    assert float(rows[0]["precision"]) == pytest.approx(cell / (cell + background), abs=1e-6)
    assert rows[0]["recall"] == rows[0]["false_positive_rate"] == "1.000000"
