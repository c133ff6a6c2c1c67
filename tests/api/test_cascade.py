"""A cascade: a stage at low resolution, then one that has its prediction as further channels."""

import shutil

import numpy as np
import pytest

import limner
from limner.api.train import resume
from limner.core.errors import ConfigError, ModelError
from limner.core.execution import Execution
from limner.core.picture import Geometry
from limner.core.run_folder import RunFolder
from limner.images.volumes.volume_writing import write_volume
from limner.inference.load_predictor import load_predictor
from limner.loading.pipeline import build_pipeline
from limner.planning.plan_files import read_plan
from limner.preparation.prepared_run import open_run
from limner.training.first_stage import with_first_stage

SPACING = (1.0, 1.0, 1.0)
SETTINGS = {
    "network": {"options": {"widths": [4, 6], "norm": "instance"}},
    "input": {"cascade_mm": [2], "crop_size": [16]},
    "train": {
        **{"steps": 3, "batch_size": 2, "workers": 0, "validate_every": 3, "save_every": 1},
        **{"ema_decay": None, "precision": "float32", "trackers": []},
    },
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three volumes with a bright ball each."""
    root = tmp_path_factory.mktemp("cascade") / "data"
    for number in range(3):
        rng = np.random.default_rng(number)
        grid = np.indices((32, 32, 32)) - rng.uniform(13, 19, 3)[:, None, None, None]
        ball = (grid**2).sum(0) < 64
        image = rng.normal(0, 20, ball.shape) + 100 * ball
        split = root / ("val" if number == 2 else "train")
        affine = np.diag([1.0, 1.0, 1.0, 1.0])[:, [2, 1, 0, 3]]
        for folder, array in (("images", image.astype(np.int16)), ("labels", ball.astype(np.uint8))):
            write_volume(split / folder / f"case{number}.nii.gz", array[..., None], Geometry(SPACING, affine))
    (root / "dataset.yaml").write_text("classes:\n- {name: background, value: 0}\n- {name: ball, value: 1}\n")
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return limner.train(data, run=folder, network="unet", spatial="3d", settings=SETTINGS, device="cpu")


def test_both_stages_are_trained_and_scored(run):
    low, full = read_plan(run.low_resolution.plan), read_plan(run.plan)
    assert (low.input.spacing_mm, low.input.cascade_mm) == ((2, 2, 2), None)
    assert (full.input.spacing_mm, full.input.cascade_mm) == ((1, 1, 1), (2, 2, 2))
    assert (low.network_channels, full.network_channels) == (1, 2)
    assert run.report.is_file() and run.low_resolution.report.is_file()


def test_the_second_stage_sees_what_the_first_predicted(run):
    predictor = load_predictor(run.model, device="cpu")
    picture = open_run(run).source.read_image(open_run(run).splits["val"][0])
    found = load_predictor(run.low_resolution.model, device="cpu").predict(
        picture.array, geometry=picture.geometry
    )
    seen = predictor.prepare(picture.array, picture.geometry, where="it").values
    # Volumes are turned to RAS, which they have, so the channel is the prediction as it is.
    assert seen.shape == (32, 32, 32, 2)
    np.testing.assert_array_equal(seen[..., 1], found.semantic == 1)


def test_training_volumes_have_the_prediction_as_a_channel(run):
    prepared = open_run(run)
    plan = prepared.plan
    train = with_first_stage(prepared, prepared.training_dataset("train"), Execution("cpu"))
    pipeline = build_pipeline(plan.augment, plan.input, plan.data.label_table)
    sample = pipeline(train[0], np.random.default_rng(0))
    assert sample.image.shape == (16, 16, 16, 2)
    assert set(np.unique(sample.image[..., 1])) <= {0, 1}
    assert [target.key for target in sample.targets] == ["semantic"]


def test_a_moved_model_folder_predicts_the_same(run, data, tmp_path):
    moved = shutil.copytree(run.model, tmp_path / "elsewhere")
    image = data / "val" / "images" / "case2.nii.gz"
    first, second = (load_predictor(folder, device="cpu").predict(image) for folder in (run.model, moved))
    np.testing.assert_array_equal(first.semantic, second.semantic)
    card = moved / "low_resolution" / "model.json"
    card.write_text(card.read_text() + " ")
    with pytest.raises(ModelError, match="changed or damaged"):
        load_predictor(moved, device="cpu")


def test_a_run_that_was_stopped_between_the_stages_goes_on_with_the_second(run, tmp_path):
    copy = RunFolder(shutil.copytree(run.root, tmp_path / "run"))
    for folder in (copy.model, copy.checkpoints, copy.evaluation("val").parent):
        shutil.rmtree(folder)
    copy.report.unlink()
    resume(copy.root, device="cpu")
    for part in ("weights.safetensors", "low_resolution/weights.safetensors"):
        assert (copy.model / part).read_bytes() == (run.model / part).read_bytes()


def test_a_cascade_is_not_exported(run, tmp_path):
    with pytest.raises(ConfigError, match="two networks"):
        limner.export(run.model, out=tmp_path / "export")


def test_the_second_stage_is_measured_with_its_further_channel(run):
    measured = limner.measure(run.model, size=(16, 16, 16), device="cpu")
    # A filter of 3x3x3 for each of the two channels and four outputs, in the first convolution.
    alone = limner.measure(run.low_resolution.model, size=(16, 16, 16), device="cpu")
    assert (alone.channels, measured.channels) == (1, 2)
    assert measured.parameters - alone.parameters == 27 * 4
