from dataclasses import replace

import numpy as np
import pytest
import torch

from limner.core.batch import Batch
from limner.core.errors import DataError, TrainingError
from limner.core.labels import LabelTable
from limner.core.run_folder import RunFolder
from limner.loading.dataset import Dataset
from limner.training.checkpoints import Checkpoints, read_run_checkpoint
from limner.training.finite import bad_images
from limner.training.learner import Learner
from limner.training.step import StepResult
from limner.training.step_log import StepLog


def breaking(tiny, where, *, at):
    """A network whose pass number `at` gives NaN, in the loss or only in the gradient."""

    class InGradient(torch.autograd.Function):
        @staticmethod
        def forward(ctx, values):
            return values.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float("inf")

    class Breaking(tiny.TinyNetwork):
        passes = 0

        def forward(self, images):
            self.passes += self.training
            if self.training and self.passes == at:
                images = images * float("nan") if where == "loss" else InGradient.apply(images)
                features = self.backbone(images)
                features = features if where == "loss" else InGradient.apply(features)
                return tiny.DenseLogits(self.head(features))
            return super().forward(images)

    torch.manual_seed(1)
    return Breaking()


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_stops_and_keeps_its_batch(tmp_path, tiny, where):
    plan = tiny.tiny_plan()
    with pytest.raises(TrainingError) as caught:
        tiny.run_tiny(tmp_path, plan, network=breaking(tiny, where, at=7))
    message = str(caught.value)
    assert f"step 7, because its {where} is not a finite number" in message
    assert "bad_batch_7.npz" in message
    assert "learning rate" in message
    assert "optimizer.learning_rate" in message  # how to fix it

    train, _ = tiny.datasets()
    with np.load(tmp_path / "bad_batch_7.npz") as kept:  # no pickle inside
        names, images, masks = kept["names"].tolist(), kept["images"], kept["semantic"]
    assert images.shape == (4, 3, 36, 36)
    assert masks.shape == (4, 36, 36)
    assert set(names) <= {record.name for record in train.records}
    assert all(name in message for name in names)


def test_the_checkpoint_before_is_untouched_and_resumes(tmp_path, tiny):
    plan = tiny.tiny_plan()
    with pytest.raises(TrainingError):
        tiny.run_tiny(tmp_path / "broken", plan, network=breaking(tiny, "gradient", at=7))
    tiny.run_tiny(tmp_path / "broken", plan, resume=True)  # this time all is well
    tiny.run_tiny(tmp_path / "whole", plan)
    weights = [(tmp_path / n / "model" / "weights.safetensors").read_bytes() for n in ("broken", "whole")]
    assert weights[0] == weights[1]


def test_an_image_that_is_not_finite_is_named():
    images = torch.ones(3, 1, 4, 4)
    images[1, 0, 2, 2] = float("inf")
    assert bad_images(Batch(images, ("a", "b", "c"))) == ["b"]
    assert bad_images(Batch(images.clamp(max=1).to(torch.uint8), ("a", "b", "c"))) == []


def result(total, norm=1.0):
    return StepResult({"total": torch.tensor(total), "dice": torch.tensor(0.5)}, torch.tensor(norm))


def test_the_log_finds_the_first_bad_step_of_many():
    log = StepLog()
    for step, total in ((1, 1.0), (2, float("nan")), (3, float("inf"))):
        log.add(step, result(total), learning_rate=0.1)
    bad = log.read_pending()
    assert bad.step == 2
    assert bad.learning_rate == 0.1


def test_the_gradient_scaler_may_meet_infinite_gradients():
    log = StepLog(check_gradient=False)
    log.add(1, result(1.0, norm=float("inf")), learning_rate=0.1)
    assert log.read_pending() is None
    assert StepLog().read_pending() is None


def test_means_by_hand():
    log = StepLog()
    for step, total in ((1, 1.0), (2, 4.0)):
        log.add(step, result(total), learning_rate=1.0 / step)
        log.add_times(data_seconds=0.0, step_seconds=step)
    log.read_pending()
    means = log.take_means()
    assert means["train/loss"] == 2.5
    assert means["train/loss/dice"] == 0.5
    assert means["train/step_seconds"] == 1.5
    assert means["train/learning_rate"] == 0.5  # the last one, not the mean
    assert log.take_means() == {}


@pytest.mark.parametrize("part", ["model", "eval_model"])
def test_weights_that_are_not_finite_are_never_saved(tmp_path, tiny, part, monkeypatch):
    apply = Learner.apply

    def break_at_8(learner, *, step):  # where a checkpoint is due
        apply(learner, step=step)
        if step == 8:
            with torch.no_grad():
                getattr(learner, part).network.head.bias[0] = float("inf")

    monkeypatch.setattr(Learner, "apply", break_at_8)
    plan = tiny.tiny_plan(train={"ema_decay": 0.9})
    with pytest.raises(TrainingError, match=r"after step 8(.|\n)*head\.bias(.|\n)*learning_rate"):
        tiny.run_tiny(tmp_path, plan)
    assert read_run_checkpoint(Checkpoints(RunFolder(tmp_path)).last).state.step == 5


def test_validation_without_a_label_is_refused_at_the_start(tmp_path, tiny):
    _, val = tiny.datasets()
    classes = [replace(c, values=(n + 7,)) for n, c in enumerate(tiny.label_table().classes)]
    ignored = Dataset(val.source, val.records, LabelTable(tuple(classes), (0, 255)))
    with pytest.raises(DataError, match="nothing that counts in a score"):
        tiny.run_tiny(tmp_path, tiny.tiny_plan(), val=ignored)
    assert not (tmp_path / "checkpoints").exists()
