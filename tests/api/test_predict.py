import json

import cv2
import numpy as np
import pytest

import limner
from limner.api.predict import inference_settings
from limner.core.errors import ConfigError, DataError
from limner.core.plan import InferencePlan
from limner.weights.bundle import save_model


def names(folder):
    """The files in a folder, without the hidden list of them."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(path.relative_to(folder).as_posix() for path in found)


def test_masks_have_the_label_values_and_size_of_the_data(run, cells, tmp_path):
    result = limner.predict(run.root, cells / "images", out=tmp_path / "out", device="cpu")
    assert not result.failures and len(result.masks) == 6
    expected = [f"cell_{n}.png" for n in range(6)]
    assert names(tmp_path / "out") == [f"masks/{n}" for n in expected] + [f"overlays/{n}" for n in expected]
    predictor = limner.load(run.model, device="cpu")
    for number, path in enumerate(result.masks):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (40 + number, 50) and set(np.unique(mask)) <= {0, 255}
        semantic = predictor.predict(cells / "images" / path.name).semantic
        np.testing.assert_array_equal(mask, semantic * 255)
        overlay = cv2.imread(str(tmp_path / "out" / "overlays" / path.name))
        assert overlay.shape == (40 + number, 50, 3)


def test_large_and_merged_label_values_are_written_back(tiny_model, odd_labels, cells, tmp_path):
    save_model(tmp_path / "model", tiny_model(labels=odd_labels), origin={})
    result = limner.predict(
        tmp_path / "model", cells / "images" / "cell_0.png", out=tmp_path / "out", overlay=False, device="cpu"
    )
    mask = cv2.imread(str(result.masks[0]), cv2.IMREAD_UNCHANGED)
    assert mask.dtype == np.uint16 and set(np.unique(mask)) <= {300, 12}


def test_probabilities_are_half_precision_and_agree_with_the_mask(run, cells, tmp_path):
    predictor = limner.load(run.root, device="cpu", precision="float32")
    result = limner.predict(
        predictor, [cells / "images" / "cell_1.png"], out=tmp_path / "out", overlay=False, probabilities=True
    )
    assert names(tmp_path / "out") == ["masks/cell_1.png", "probabilities/cell_1.npy"]
    probabilities = np.load(tmp_path / "out" / "probabilities" / "cell_1.npy")
    assert probabilities.dtype == np.float16 and probabilities.shape == (2, 41, 50)
    np.testing.assert_allclose(probabilities.astype(float).sum(0), 1, atol=2e-3)
    sure = np.abs(probabilities[0].astype(float) - 0.5) > 0.01
    mask = cv2.imread(str(result.masks[0]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask[sure] == 255, probabilities.argmax(0)[sure] == 1)


def test_bad_files_are_reported_and_the_others_done(run, cells, tmp_path):
    good = (cells / "images" / "cell_0.png").read_bytes()
    bad = tmp_path / "mixed"
    (bad / "folder.png").mkdir(parents=True)
    for name, data in (("a.png", good[:200]), ("b.png", b""), ("c.png", b"words"), ("d.png", good)):
        (bad / name).write_bytes(data)
    result = limner.predict(run.root, [bad, tmp_path / "missing.png"], out=tmp_path / "out", device="cpu")
    assert [path.name for path in result.masks] == ["d.png"]
    assert {failure.path.name for failure in result.failures} == {"a.png", "b.png", "c.png", "missing.png"}
    assert all(failure.path.name in failure.reason for failure in result.failures)


def test_nothing_to_predict_and_nowhere_to_write(run, cells, tmp_path):
    with pytest.raises(DataError, match="no images were specified"):
        limner.predict(run.root, [], out=tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="output folder cannot be written"):
        limner.predict(run.root, cells / "images", out=tmp_path / "file", device="cpu")


def test_settings_are_changed_where_they_are_named():
    plan = InferencePlan(window=(64, 64), overlap=0.5, flips=True)
    assert inference_settings(plan) == plan
    changed = inference_settings(plan, overlap=0.25, flips=False, scales=(0.5, 1))
    assert changed == InferencePlan(window=(64, 64), overlap=0.25, flips=False, scales=(0.5, 1.0))
    with pytest.raises(ConfigError, match="overlap"):
        inference_settings(plan, overlap=1.0)


def test_truth_stands_beside_the_prediction(run, cells, tmp_path):
    foreign = tmp_path / "other.png"
    cv2.imwrite(str(foreign), np.zeros((40, 50, 3), np.uint8))
    paths = [cells / "images" / "cell_0.png", foreign]
    result = limner.predict(run.root, paths, out=tmp_path / "out", compare=cells, device="cpu")
    assert not result.failures
    pictures = sorted((result.out / "comparisons").rglob("*.png"))
    widths = {p.stem: cv2.imread(str(p)).shape[1] for p in pictures}
    # Four panels of one size where the truth is known, two where it is not.
    assert len(pictures) == 2 and widths["cell_0"] > 1.8 * widths["other"]
    names = "classes:\n- {name: background, value: 0}\n- {name: nerve, value: 255}\n"
    (cells / "dataset.yaml").write_text(names)
    with pytest.raises(DataError, match="not trained on"):
        limner.predict(run.root, paths, out=tmp_path / "out", compare=cells, device="cpu")


def test_a_stated_range_is_recorded_beside_the_masks_it_led_to(run, cells, tmp_path):
    image, out = cells / "images" / "cell_0.png", tmp_path / "out"
    limner.predict(run.root, image, out=out, device="cpu", value_range=(0, 128))
    record = json.loads((out / "value_range.json").read_text())
    assert record == {"value_range": [0, 128], "mapped_to": [0, 255]}
    limner.predict(run.root, image, out=out, device="cpu")
    assert not (out / "value_range.json").exists()


def test_options_of_volumes_and_of_label_maps_are_refused_elsewhere(run, cells, tmp_path):
    image = cells / "images" / "cell_0.png"
    for option in ("animation", "sizes"):
        with pytest.raises(ConfigError, match=rf"--{option} is for label maps of volumes.*of images"):
            limner.predict(run.root, image, out=tmp_path / "out", device="cpu", **{option: True})
    settings = InferencePlan(largest_component=("cel",))
    with pytest.raises(ConfigError, match=r"no class named 'cel' \(did you mean 'cell'\?\)"):
        limner.predict(run.root, image, out=tmp_path / "out", device="cpu", settings=settings)
    kept = inference_settings(InferencePlan(largest_component=("cell",)), largest_component=())
    assert kept.largest_component == ()
