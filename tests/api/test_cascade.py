"""A cascade: a stage at low resolution, then one that has its prediction as further channels."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import limner
from limner.api.train import resume
from limner.core.errors import ConfigError, ModelError
from limner.core.execution import Execution
from limner.core.low_resolution_labels import LowResolutionLabels
from limner.core.picture import Geometry
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher
from limner.datasets.checked import check_dataset
from limner.images.volumes.volume_writing import write_volume
from limner.inference.load_predictor import load_predictor
from limner.inference.predictor import Predictor
from limner.loading.pipeline import build_pipeline
from limner.planning.plan_files import read_plan
from limner.preparation import prepared_run
from limner.preparation.cascade_runs import settings_of_stages
from limner.preparation.planned import Planned
from limner.preparation.prepared_run import open_run, prepare_run
from limner.preparation.run_names import is_half_prepared
from limner.reporting.gather import gather
from limner.reporting.observations import observe
from limner.training.first_stage import with_first_stage
from limner.training.validation import Validation
from limner.weights.bundle import load_model

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


@pytest.fixture
def datasets(run):
    """The training and validation volumes with what the first stage predicted for them."""
    prepared = open_run(run)
    train, val = prepared.training_dataset("train"), prepared.dataset("val")
    return with_first_stage(prepared, train, val, Execution("cpu"))


class PowerCut(Watcher):
    """Ends the process in the second step, as far as the run can tell."""

    def __init__(self):
        self.said = []

    def step(self, moment):
        if moment.step == 2:
            raise RuntimeError("power cut")

    def say(self, message):
        self.said.append(message)


class KilledError(BaseException):
    """Ends the process, as far as the run can tell."""


def test_both_stages_are_trained_and_scored(run):
    low, full = read_plan(run.low_resolution.plan), read_plan(run.plan)
    assert (low.input.spacing_mm, low.input.cascade_mm) == ((2, 2, 2), None)
    assert (full.input.spacing_mm, full.input.cascade_mm) == ((1, 1, 1), (2, 2, 2))
    assert (low.network_channels, full.network_channels) == (1, 2)
    assert run.report.is_file() and run.low_resolution.report.is_file()


def test_each_stage_has_its_share_of_the_time_and_the_reasons(run):
    plan = read_plan(run.plan)
    key, why = "input.cascade_mm", "a patch covers 1 %"
    train = plan.train.model_copy(update={"minutes": 9.0})
    first, second = settings_of_stages(
        {"input": {"crop_size": [16]}}, plan.model_copy(update={"train": train, "reasons": {key: why}})
    )
    assert first["input"] == {"crop_size": [16], "spacing_mm": (2, 2, 2), "cascade_mm": None}
    assert second["input"] == {"crop_size": [16], "cascade_mm": (2, 2, 2)}
    assert (first["train"], second["train"]) == ({"minutes": 3}, {"minutes": 6})
    assert second["reasons"][key] == why and "first stage" in first["reasons"]["input.spacing_mm"]
    low = read_plan(run.low_resolution.plan)
    assert low.reasons["input.spacing_mm"] == "this is the first stage of a cascade"


def test_the_report_says_what_the_second_stage_learned_from(run):
    first, second = ([o.text for o in observe(gather(stage))] for stage in (run.low_resolution, run))
    assert not any("cascade" in text for text in first)
    assert any("better than those for new volumes" in text for text in second)


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


def test_training_volumes_have_the_prediction_as_a_channel(run, datasets):
    plan = read_plan(run.plan)
    pipeline = build_pipeline(plan.augment, plan.input, plan.data.label_table)
    sample = pipeline(datasets[0][0], np.random.default_rng(0))
    assert sample.image.shape == (16, 16, 16, 2)
    assert set(np.unique(sample.image[..., 1])) <= {0, 1}
    assert [target.key for target in sample.targets] == ["semantic"]


def test_validation_volumes_are_predicted_by_the_first_stage_only_once(run, datasets, monkeypatch):
    sample = datasets[1][0]
    predictor, stages = load_predictor(run.model, device="cpu"), []
    expected = predictor.predict(sample.image, geometry=sample.geometry).semantic
    predict = Predictor.predict

    def counted(self, *arguments, **options):
        stages.append(self.plan.input.cascade_mm)
        return predict(self, *arguments, **options)

    monkeypatch.setattr(Predictor, "predict", counted)
    np.testing.assert_array_equal(predictor.predict_sample(sample).semantic, expected)
    one = SimpleNamespace(num_processes=1, process_index=0, device=torch.device("cpu"))
    Validation(datasets[1], accelerator=one).scores(load_model(run.model))
    assert stages == [(2, 2, 2), (2, 2, 2)]
    assert sample.get(LowResolutionLabels).labels.shape == (32, 32, 32)


def test_a_moved_model_folder_predicts_the_same(run, data, tmp_path):
    moved = shutil.copytree(run.model, tmp_path / "elsewhere")
    image = data / "val" / "images" / "case2.nii.gz"
    first, second = (load_predictor(folder, device="cpu").predict(image) for folder in (run.model, moved))
    np.testing.assert_array_equal(first.semantic, second.semantic)
    card = moved / "low_resolution" / "model.json"
    card.write_text(card.read_text() + " ")
    with pytest.raises(ModelError, match="changed or damaged"):
        load_predictor(moved, device="cpu")


def test_a_run_that_is_killed_in_both_stages_ends_like_another(run, tmp_path):
    copy = RunFolder(shutil.copytree(run.root, tmp_path / "run"))
    for stage in (copy, copy.low_resolution):
        for folder in (stage.model, stage.checkpoints, stage.evaluation("val").parent):
            shutil.rmtree(folder)
        stage.report.unlink()
    first, second = PowerCut(), PowerCut()
    with pytest.raises(RuntimeError, match="power cut"):
        resume(copy.root, device="cpu", watchers=[first])
    assert first.said[0] == "First stage: at 2x2x2 mm"
    assert copy.low_resolution.checkpoints.is_dir() and not copy.checkpoints.exists()
    resume(copy.low_resolution.root, device="cpu")
    with pytest.raises(RuntimeError, match="power cut"):
        resume(copy.root, device="cpu", watchers=[second])
    assert second.said[0] == "Second stage: at 1x1x1 mm"
    assert copy.checkpoints.is_dir() and not copy.model.exists()
    resume(copy.root, device="cpu")
    for part in ("weights.safetensors", "low_resolution/weights.safetensors"):
        assert (copy.model / part).read_bytes() == (run.model / part).read_bytes()


def test_a_run_that_is_killed_before_both_stages_are_prepared_is_started_again(run, data, tmp_path):
    checked, root = check_dataset(data), tmp_path / "run"
    full, low = (Planned(read_plan(stage.plan), checked, {}) for stage in (run, run.low_resolution))
    left = [{}]  # for the first stage, which is prepared before its folder is complete

    def environment(*_):
        if not left:
            raise KilledError
        return left.pop()

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(prepared_run, "_environment", environment)
        prepare_run(full, root, device="cpu", first_stage=low)
    assert RunFolder(root).low_resolution.environment.is_file() and is_half_prepared(root)
    prepare_run(full, root, device="cpu", first_stage=low)
    assert open_run(RunFolder(root).low_resolution).plan == low.plan and not is_half_prepared(root)


def test_a_cascade_is_not_exported(run, tmp_path):
    with pytest.raises(ConfigError, match="two networks"):
        limner.export(run.model, out=tmp_path / "export")


def test_the_second_stage_is_measured_with_its_further_channel(run):
    measured = limner.measure(run.model, size=(16, 16, 16), device="cpu")
    # A filter of 3x3x3 for each of the two channels and four outputs, in the first convolution.
    alone = limner.measure(run.low_resolution.model, size=(16, 16, 16), device="cpu")
    assert (alone.channels, measured.channels) == (1, 2)
    assert measured.parameters - alone.parameters == 27 * 4
