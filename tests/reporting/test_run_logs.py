import json

import pytest

from limner.core.errors import DataError
from limner.reporting.run_logs import read_run


def test_mmengine(tmp_path):
    lines = [
        {"lr": 0.01, "data_time": 0.1, "loss": 2.0, "time": 0.5, "step": 10},
        {"lr": 0.005, "data_time": 0.1, "loss": 1.0, "time": 0.3, "step": 20},
        {"aAcc": 90.0, "mIoU": 45.5, "mAcc": 60.0, "data_time": 9.0, "time": 9.0, "step": 20},
    ]
    path = tmp_path / "20260101_120000" / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"lr": 0.0', "utf-8")
    run = read_run(tmp_path)
    assert run.series["train/loss"].values == (2.0, 1.0) and run.series["train/loss"].steps == (10, 20)
    assert run.series["val/mean_iou"].values == (0.455,) and run.series["val/pixel_accuracy"].values == (0.9,)
    assert run.series["val/mean_recall"].values == (0.6,)  # they call it mean accuracy
    # 10 steps of 0.5 s and 10 of 0.3 s; the times of validation are no steps.
    assert run.series["train/loss"].seconds == pytest.approx((5.0, 8.0))
    assert run.series["train/step_seconds"].values == (0.5, 0.3)


def test_mmcv(tmp_path):
    lines = [
        {"env_info": "x", "seed": 0},
        {"mode": "train", "epoch": 1, "iter": 50, "lr": 0.01, "loss": 1.5, "time": 0.2, "data_time": 0.0},
        {"mode": "val", "epoch": 1, "iter": 7, "lr": 0.01, "mIoU": 0.5},
    ]
    path = tmp_path / "run.log.json"
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    run = read_run(path)
    assert run.series["train/loss"].steps == (50,) and run.series["val/mean_iou"].steps == (50,)
    assert run.series["val/mean_iou"].values == (0.5,)  # mmcv wrote parts of one
    assert "env_info" not in run.series and run.series["train/learning_rate"].values == (0.01,)


def test_mmengine_that_counts_validations_in_epochs(tmp_path):
    lines = [
        {"lr": 0.01, "data_time": 0.1, "loss": 2.0, "loss_mask": 1.5, "time": 0.5, "epoch": 1, "step": 50},
        {"lr": 0.01, "data_time": 0.1, "loss": 1.0, "loss_mask": 0.5, "time": 0.5, "epoch": 1, "step": 100},
        {"coco/segm_mAP": 0.25, "coco/bbox_mAP": 0.3, "data_time": 9.0, "time": 9.0, "step": 1},
        {"lr": 0.01, "data_time": 0.1, "loss": 0.5, "loss_mask": 0.2, "time": 0.5, "epoch": 2, "step": 150},
        {"coco_panoptic/PQ": 40.0, "data_time": 9.0, "time": 9.0, "step": 2},
    ]
    (tmp_path / "scalars.json").write_text("\n".join(map(json.dumps, lines)))
    run = read_run(tmp_path)
    assert run.series["train/loss"].steps == (50, 100, 150)
    assert run.series["train/loss"].seconds == pytest.approx((25, 50, 75))
    assert run.series["val/ap"].steps == (100,) and run.series["val/ap"].values == (0.25,)
    assert run.series["val/pq"].steps == (150,) and run.series["val/pq"].values == (0.4,)


def test_tensorboard_of_a_run_that_was_resumed(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    for step in (1, 2):
        with SummaryWriter(str(tmp_path), filename_suffix=f".{step}") as writer:
            writer.add_scalar("train/loss", 1 / step, step, walltime=100.0 + step)
    assert read_run(tmp_path).series["train/loss"].values == (1.0, 0.5)


def test_lightning(tmp_path):
    text = "epoch,step,train_loss,val_loss,lr-Adam\n0,9,0.8,,0.001\n0,9,,0.7,\n1,19,0.4,,\n"
    (tmp_path / "metrics.csv").write_text(text)
    run = read_run(tmp_path)
    assert run.series["train/loss"].values == (0.8, 0.4) and run.series["val/loss"].steps == (9,)
    assert run.series["train/learning_rate"].values == (0.001,)


def test_tensorboard(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for step in (1, 2):
            writer.add_scalar("train/loss", 1 / step, step, walltime=100.0 + step)
    run = read_run(tmp_path)
    assert run.series["train/loss"].values == (1.0, 0.5) and run.series["train/loss"].seconds == (0.0, 1.0)


def test_our_own(run):
    assert read_run(run.root).plan is not None


def test_what_is_no_log_is_said(tmp_path):
    with pytest.raises(DataError, match=r"(?s)No training log was found.*Lightning"):
        read_run(tmp_path)
    (tmp_path / "scalars.json").write_text("{}\n")
    with pytest.raises(DataError, match="contains no values"):
        read_run(tmp_path)
