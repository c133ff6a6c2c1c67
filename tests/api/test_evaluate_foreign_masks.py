"""Masks of other data than the training's: what they mean is known, or the user is asked."""

import json

import cv2
import numpy as np
import pytest
import torch

import limner
from limner import formats
from limner.core.errors import ConfigError, DataError
from limner.core.plan import InferencePlan
from limner.datasets.checked import check_dataset


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def foreign(cells, run, tmp_path):
    """The images and masks of the training at another place; `change` rewrites every mask."""
    folder = cells.rename(tmp_path / "foreign")
    (folder / "dataset.yaml").unlink()

    def change(of, suffix=".png"):
        for path in sorted((folder / "masks").iterdir()):
            mask = of(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
            path.unlink()
            cv2.imwrite(str(path.with_suffix(suffix)), mask)
        return folder

    return change


def scores_of(result):
    return json.loads((result.out / "scores.json").read_text("utf-8"))


def test_jpeg_masks_get_the_advice_of_check_and_then_the_choice(run, foreign):
    data = foreign(lambda mask: mask, ".jpg")
    with pytest.raises(DataError) as error:
        limner.evaluate(run.root, data=data, device="cpu")
    said = str(error.value)
    assert "black and white, with compression noise" in said
    assert "pixels greater than" in said and f"`limner check {data} --accept` does so" in said
    assert "name the classes background, cell" in said and "ignored" not in said
    check_dataset(data, accept=True)  # background and foreground: the model has no such class
    with pytest.raises(DataError, match=r"foreground as cell\), evaluate with --by-position"):
        limner.evaluate(run.root, data=data, device="cpu")
    scores = scores_of(limner.evaluate(run.root, data=data, by_position=True, device="cpu"))
    assert scores["num_images"] == 5 and "by their order" in scores["notes"][0]


def test_jpeg_masks_with_named_classes_get_that_advice_too(run, foreign):
    data = foreign(lambda mask: mask, ".jpg")
    (data / "dataset.yaml").write_text(
        "classes:\n- {name: background, value: 0}\n- {name: cell, value: 255}\n"
    )
    with pytest.raises(DataError, match="(?s)compression noise.*--accept` does so"):
        limner.evaluate(run.root, data=data, device="cpu")
    check_dataset(data, accept=True)
    assert limner.evaluate(run.root, data=data, device="cpu").scores.num_images == 5


def test_by_position_is_exact(run, foreign):
    before = limner.evaluate(run.root, data=foreign(lambda mask: mask), device="cpu").scores.confusion
    data = foreign(lambda mask: mask // 255)
    with pytest.raises(DataError, match="(?s)values 0, 1.*0 background, 255 cell.*--by-position"):
        limner.evaluate(run.root, data=data, device="cpu")
    after = limner.evaluate(run.root, data=data, by_position=True, device="cpu").scores.confusion
    np.testing.assert_array_equal(before, after)


def test_three_classes_are_never_matched_with_two_by_position(run, foreign):
    data = foreign(lambda mask: np.where(mask > 0, 1 + (np.arange(mask.shape[1]) % 2), 0).astype(np.uint8))
    with pytest.raises(DataError) as error:
        limner.evaluate(run.root, data=data, device="cpu")
    assert "values 0, 1, 2" in str(error.value) and "--by-position" not in str(error.value)
    with pytest.raises(DataError, match="as many in the data as in the model"):
        limner.evaluate(run.root, data=data, by_position=True, device="cpu")


def test_predictions_have_no_position(cells):
    with pytest.raises(ConfigError, match="by-position is for a model"):
        limner.evaluate(predictions=cells / "masks", data=cells, by_position=True)


def test_the_stated_range_of_values_is_in_the_scores(run):
    assert scores_of(limner.evaluate(run.root, device="cpu"))["value_range"] is None
    stated = limner.evaluate(run.root, device="cpu", value_range=(0, 255))
    assert scores_of(stated)["value_range"] == [0, 255]


def test_maps_of_right_and_wrong_pixels(run, cells):
    result = limner.evaluate(run.root, device="cpu", precision="float32", maps=True)
    predictor = limner.load(run.root, device="cpu", precision="float32")
    for name in ("cell_3", "cell_4"):
        truth = cv2.imread(str(cells / "masks" / f"{name}.png"), cv2.IMREAD_GRAYSCALE) > 0
        found = predictor.predict(cells / "images" / f"{name}.png").semantic == 1
        grey = cv2.imread(str(result.out / "maps" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        expected = np.select([truth & found, truth, found], [255, 64, 128], 0)
        np.testing.assert_array_equal(grey, expected)


def test_other_data_is_opened_once(run, foreign, monkeypatch):
    opened, really = [], formats._open

    def noted(root, settings):
        opened.append(root)
        return really(root, settings)

    monkeypatch.setattr(formats, "_open", noted)
    data = foreign(lambda mask: mask)
    limner.evaluate(run.root, data=data, device="cpu")
    assert opened == [data]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("settings", InferencePlan()),
        ("value_range", (0, 255)),
        ("device", "cpu"),
        ("precision", "float32"),
        ("network", torch.nn.Identity()),
    ],
)
def test_predictions_refuse_what_only_a_model_can_follow(cells, argument, value):
    with pytest.raises(ConfigError, match=f"{argument}: only for a model"):
        limner.evaluate(predictions=cells / "masks", data=cells, **{argument: value})
