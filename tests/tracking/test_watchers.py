"""The metrics file, the trackers and the display."""

import csv
import io
import sys
import time
from types import SimpleNamespace

import pytest

from limner.core.errors import MissingPartError, TrainingError, UnknownNameError
from limner.core.run_folder import RunFolder
from limner.core.watchers import Moment
from limner.tracking import trackers
from limner.tracking.progress_display import ProgressDisplay, describe_moment, describe_run
from limner.tracking.trackers import build_tracker
from limner.training.metrics_file import MetricsFile

START = Moment(0, 100, 0.0, 0.0)


def at(step, seconds=10.0):
    return Moment(step, 100, step / 100, seconds)


def test_rows_after_the_checkpoint_and_a_cut_line_are_removed(tmp_path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(RunFolder(tmp_path))
    file.start(START, {})
    for step in (10, 20, 30):
        file.log(step, step / 2, {"train/loss": 1 / step, "val/iou/a, b": 0.5})
    file.close()
    with path.open("a") as raw:
        raw.write("40,20.0,train/lo")  # killed while writing

    again = MetricsFile(RunFolder(tmp_path))
    again.start(at(20), {})
    again.log(30, 15.0, {"train/loss": 0.1})
    again.close()
    with path.open(newline="") as raw:
        rows = [(int(r["step"]), r["name"], float(r["value"])) for r in csv.DictReader(raw)]
    assert rows == [
        (10, "train/loss", 0.1),
        (10, "val/iou/a, b", 0.5),
        (20, "train/loss", 0.05),
        (20, "val/iou/a, b", 0.5),
        (30, "train/loss", 0.1),
    ]


def test_a_log_that_cannot_be_written_stops_with_a_clear_word(tmp_path):
    file = MetricsFile(RunFolder(tmp_path))
    file.start(START, {})
    file._file.close()
    try:
        file._file = open("/dev/full", "w")  # noqa: PTH123, SIM115 - the disk that is always full
    except OSError:
        pytest.skip("this system has no /dev/full")
    file._rows = csv.writer(file._file)
    with pytest.raises(TrainingError, match="no space left on the disk"):
        file.log(1, 1.0, {"train/loss": 1.0})


def test_tensorboard_holds_what_was_logged_once(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = RunFolder(tmp_path)
    first = build_tracker("tensorboard", run, run_id="x")
    first.start(START, {"train.steps": 100})
    for step in (1, 2, 3):
        first.log(step, 0.0, {"train/loss": float(step)})
    first.flush()
    first.close()
    # Files are read in the order of their names: seconds, and then a counter, of which 10 is before 9.
    time.sleep(1.0)
    second = build_tracker("tensorboard", run, run_id="x")  # goes on from a checkpoint of step 2
    second.start(at(2), {"train.steps": 100})
    second.log(3, 0.0, {"train/loss": 30.0})
    second.close()
    events = accumulator.EventAccumulator(str(run.tensorboard)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_wandb_goes_on_under_the_same_id(tmp_path, monkeypatch):
    calls = []
    run = SimpleNamespace(
        log=lambda values, step: calls.append((step, values)), finish=lambda: calls.append("finish")
    )
    fake = SimpleNamespace(init=lambda **options: calls.append(options) or run)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr(trackers, "find_spec", lambda _: True)
    tracker = build_tracker("wandb", RunFolder(tmp_path / "my run"), run_id="abc")
    tracker.start(at(5), {"train.steps": 9})
    tracker.log(6, 1.0, {"train/loss": 2.0})
    tracker.close()
    options, *rest = calls
    assert (options["id"], options["resume"], options["name"]) == ("abc", "allow", "my run")
    assert options["config"] == {"train.steps": 9}
    assert rest == [(6, {"train/loss": 2.0}), "finish"]


def test_mlflow_finds_its_run_again_and_takes_any_class_name(tmp_path, monkeypatch):
    runs, metrics = {}, []

    class Client:
        def search_runs(self, _, query):
            wanted = query.split("'")[1]
            return [SimpleNamespace(info=SimpleNamespace(run_id=r)) for r, t in runs.items() if t == wanted]

        def create_run(self, _, run_name, tags):
            runs[f"run {len(runs)}"] = tags["limner_run"]
            return SimpleNamespace(info=SimpleNamespace(run_id=list(runs)[-1]))

        def log_param(self, *_):
            pass

        def log_metric(self, run_id, name, value, step):
            metrics.append((run_id, name, value, step))

        def set_terminated(self, _):
            pass

    experiment = SimpleNamespace(experiment_id="1")
    fake = SimpleNamespace(set_experiment=lambda _: experiment, MlflowClient=Client)
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setattr(trackers, "find_spec", lambda _: True)
    for step in (1, 2):
        tracker = build_tracker("mlflow", RunFolder(tmp_path), run_id="abc")
        tracker.start(at(step), {"train.steps": 9})
        tracker.log(step, 1.0, {'val/iou/car (parked) & "new"': 0.5})
        tracker.close()
    assert [m[0] for m in metrics] == ["run 0", "run 0"]
    assert metrics[0][1] == "val/iou/car _parked_ _ _new_"


def test_a_tracker_that_is_not_there_is_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda _: None)
    with pytest.raises(MissingPartError, match="pip install wandb"):
        build_tracker("wandb", RunFolder(tmp_path), run_id="x")
    with pytest.raises(UnknownNameError, match="did you mean 'wandb'"):
        build_tracker("wandbb", RunFolder(tmp_path), run_id="x")


def test_a_line_says_what_matters():
    line = describe_moment(at(25, seconds=100.0), {"train/loss": 0.51234, "train/step_seconds": 1.5})
    # A quarter took 100 s, so three quarters take 300 s more.
    assert line.split("  ") == [
        "step 25/100",
        " 25%",
        "1:40",
        "5:00 left",
        "loss 0.5123",
        "1.50 s/step, 0% waiting for data",
    ]
    assert "1:01:01" in describe_moment(at(100, seconds=3661.0), {})


def test_plain_lines_come_every_half_minute():
    now = [0.0]
    stream = io.StringIO()
    display = ProgressDisplay(stream, clock=lambda: now[0])
    display.start(START, {})
    for step in range(1, 100):
        now[0] += 1.0
        display.step(at(step))
    display.log(99, 99.0, {"val/mean_iou": 0.5, "val/foreground_dice": 0.75})
    display.step(at(100))
    display.close()
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["0/100", "30/100", "60/100", "90/100", "99:", "100/100"]
    assert lines[-2] == "step 99: validation  mean IoU 0.5000  foreground Dice 0.7500"


def test_a_terminal_gets_one_live_line_and_messages_above_it():
    stream = io.StringIO()
    display = ProgressDisplay(stream, live=True)
    display.start(START, {})
    display.say("Memory ran out [at step 3]")  # brackets are no markup
    display.step(at(100))
    display.close()
    display.close()
    assert "Memory ran out [at step 3]" in stream.getvalue()


def test_the_first_line_says_what_is_trained():
    settings = {
        "network.name": "unet",
        "data.num_images.train": 114,
        "data.num_images.val": 28,
        "input.crop_size": [256, 256],
        "train.batch_size": 8,
        "train.precision": "bfloat16",
        "train.steps": 500,
    }
    expected = (
        "Training unet on 114 images and 28 for validation: batches of 8 crops of 256 x 256, bfloat16, "
    )
    assert describe_run(settings) == expected + "500 steps"
    assert describe_run(settings | {"train.minutes": 3.0}) == expected + "3 min"
    assert describe_run(settings, processes=2) == expected + "2 processes, 500 steps"


@pytest.mark.parametrize(
    ("settings", "unit"),
    [({}, "pixel"), ({"input.spatial_dims": 3}, "voxel"), ({"input.slice_axis": 0}, "voxel")],
)
def test_scores_of_volumes_are_of_voxels(settings, unit):
    shown = io.StringIO()
    display = ProgressDisplay(shown, live=False)
    display.start(START, {"network.name": "unet", "input.crop_size": [8, 8], **settings})
    display.log(5, 1.0, {"val/mean_iou": 0.5, "val/pixel_accuracy": 0.75})
    assert f"{unit} accuracy 0.7500" in shown.getvalue()
