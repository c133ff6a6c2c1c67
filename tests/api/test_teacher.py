"""A training that learns from a teacher, from the command to the model's card."""

import json
import shutil

import cv2
import pytest
from safetensors.torch import load_file

from limner.api.train import resume, train
from limner.core.config import merge
from limner.core.errors import ConfigError, ModelError
from limner.core.run_folder import RunFolder
from limner.core.watchers import Watcher
from limner.planning.plan_files import read_plan

QUICK = {
    "network": {"name": "unet", "options": {"widths": [4, 6]}},
    "input": {"crop_size": [48, 48]},
    "train": {
        "steps": 2,
        "batch_size": 2,
        "validate_every": 2,
        "save_every": 2,
        "workers": 0,
        "trackers": [],
    },
}


@pytest.fixture(scope="module")
def _teacher(module_cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "teacher"
    return train(module_cells, run=folder, settings=QUICK, device="cpu")


@pytest.fixture
def teacher(_teacher, tmp_path):
    """A finished run, which a test may change."""
    return RunFolder(shutil.copytree(_teacher.root, tmp_path / "runs" / "teacher"))


def test_a_student_learns_from_its_teacher_and_its_card_says_so(teacher, cells, tmp_path):
    before = (teacher.model / "weights.safetensors").read_bytes()
    run = train(cells, run=tmp_path / "runs" / "student", teacher=teacher.root, settings=QUICK, device="cpu")
    plan = read_plan(run.plan)
    assert [term.name for term in plan.loss.terms] == ["cross_entropy", "dice", "distill_cwd"]
    assert plan.loss.teacher == str(teacher.root)
    assert "teacher" in plan.reasons["loss.terms"]
    assert "loss/distill_cwd" in run.metrics.read_text("utf-8")
    origin = json.loads((run.model / "model.json").read_text("utf-8"))["origin"]
    assert origin["teacher"]["network"] == "unet" and origin["teacher"]["weights"] == str(teacher.root)
    assert "distill_cwd" in run.report.read_text("utf-8")
    assert (teacher.model / "weights.safetensors").read_bytes() == before
    names = load_file(run.model / "weights.safetensors")
    assert set(names) == set(load_file(teacher.model / "weights.safetensors"))  # the student alone


def test_a_resumed_run_needs_the_same_teacher(teacher, cells, tmp_path):
    run = train(cells, run=tmp_path / "runs" / "student", teacher=teacher.root, settings=QUICK, device="cpu")
    assert resume(run.root, device="cpu") == run
    other = train(
        cells, run=tmp_path / "runs" / "other", settings=merge(QUICK, {"train": {"seed": 5}}), device="cpu"
    )
    teacher.model.rename(tmp_path / "old")
    other.model.rename(teacher.model)
    with pytest.raises(ModelError, match="teacher has changed since the run began"):
        resume(run.root, device="cpu")


def test_teachers_that_do_not_fit_are_refused_before_training(teacher, cells, tmp_path):
    def student(**changes):
        train(cells, run=tmp_path / "no", teacher=teacher.root, settings=merge(QUICK, changes), device="cpu")

    with pytest.raises(ConfigError, match=r"No loss uses the teacher[\s\S]*distill_cwd"):
        student(loss={"terms": [{"name": "dice"}]})
    with pytest.raises(ConfigError, match=r"needs a teacher: add --teacher"):
        wanted = merge(QUICK, {"loss": {"terms": [{"name": "dice"}, {"name": "distill_soft"}]}})
        train(cells, run=tmp_path / "no", settings=wanted, device="cpu")
    classes = (cells / "dataset.yaml").read_text("utf-8")
    (cells / "dataset.yaml").write_text(classes.replace("name: cell", "name: cow"), "utf-8")
    with pytest.raises(ConfigError, match=r"a teacher of background, cell[\s\S]*lacks cow"):
        student()
    (cells / "dataset.yaml").write_text(classes, "utf-8")
    for path in (cells / "images").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    with pytest.raises(ConfigError, match=r"another number of channels[\s\S]*found: +3[\s\S]*expected: 1"):
        student()
    assert not (tmp_path / "no").exists()


def test_equal_probabilities_need_no_step(teacher, cells, tmp_path):
    """A student that begins as its teacher and learns only from it has nothing to learn."""
    still = {
        "loss": {"terms": [{"name": "distill_soft"}]},
        "network": {"weights": str(teacher.root)},
        "train": {"ema_decay": None},
    }
    wanted = merge({key: QUICK[key] for key in ("input", "train")}, still)
    run = train(cells, run=tmp_path / "runs" / "twin", teacher=teacher.root, settings=wanted, device="cpu")
    rows = [row.split(",") for row in run.metrics.read_text("utf-8").splitlines()]
    losses = [float(row[3]) for row in rows if row[2] == "train/loss/distill_soft"]
    assert losses and max(losses) < 0.05  # batch statistics differ from running ones


def features(student, teacher):
    term = {"name": "distill_features", "weight": 2.0, "options": {"student": student, "teacher": teacher}}
    return merge(QUICK, {"loss": {"terms": [{"name": "cross_entropy"}, term]}})


def test_a_layer_learns_from_a_layer_and_nothing_of_it_is_saved(teacher, cells, tmp_path):
    names = sorted(
        name.removesuffix(".weight").removeprefix("network.")
        for name, tensor in load_file(teacher.model / "weights.safetensors").items()
        if tensor.ndim == 4
    )
    settings = features(names[0], names[-1])
    run = train(
        cells, run=tmp_path / "runs" / "student", teacher=teacher.root, settings=settings, device="cpu"
    )
    assert "loss/distill_features" in run.metrics.read_text("utf-8")
    saved = load_file(run.model / "weights.safetensors")
    assert set(saved) == set(load_file(teacher.model / "weights.safetensors"))
    checkpoint = load_file(next(run.checkpoints.rglob("*.safetensors")))
    adapters = [name for name in checkpoint if name.startswith("criterion/")]
    assert len(adapters) == 2 and any("criterion.distillation" in n for n in checkpoint if "optimizer/" in n)
    with pytest.raises(ConfigError, match="There is no layer of the teacher named 'nowhere'"):
        train(
            cells,
            run=tmp_path / "runs" / "other",
            teacher=teacher.root,
            settings=features(names[0], "nowhere"),
            device="cpu",
        )


def test_a_run_with_features_that_is_stopped_continues_bit_for_bit(teacher, cells, tmp_path):
    settings = merge(features("encoder.1", "encoder.1"), {"train": {"steps": 4, "save_every": 2}})
    settings = merge(settings, {"train": {"validate_every": 4}})

    class StopAt(Watcher):
        def step(self, moment):
            if moment.step == 3:
                raise InterruptedError

    options = {"teacher": teacher.root, "settings": settings, "device": "cpu"}
    whole = train(cells, run=tmp_path / "runs" / "whole", **options)
    with pytest.raises(InterruptedError):
        train(cells, run=tmp_path / "runs" / "cut", watchers=[StopAt()], **options)
    again = resume(tmp_path / "runs" / "cut", device="cpu")
    files = [run.model / "weights.safetensors" for run in (whole, again)]
    assert files[0].read_bytes() == files[1].read_bytes()
