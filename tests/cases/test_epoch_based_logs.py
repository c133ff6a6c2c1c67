"""Steps, times and scores of other programs' logs, in which counters restart or start at 0."""

import json

import pytest

from limner.reporting.run_logs import read_run

EPOCHS = [
    {"env_info": "x", "seed": 0},
    {"mode": "train", "epoch": 1, "iter": 50, "lr": 0.01, "loss": 4.0, "time": 0.2},
    {"mode": "train", "epoch": 1, "iter": 100, "lr": 0.01, "loss": 3.0, "time": 0.2},
    {"mode": "val", "epoch": 1, "iter": 7, "lr": 0.01, "segm_mAP": 0.2},
    {"mode": "train", "epoch": 2, "iter": 50, "lr": 0.001, "loss": 2.0, "time": 0.4},
    {"mode": "train", "epoch": 2, "iter": 100, "lr": 0.001, "loss": 1.0, "time": 0.4},
    {"mode": "val", "epoch": 2, "iter": 7, "lr": 0.001, "segm_mAP": 0.3},
]
TEXT = """\
2022-06-03 06:33:26,389 - mmdet - INFO - workflow: [('train', 1)], max: 2 epochs
2022-06-03 06:33:38,427 - mmdet - INFO - Epoch [1][50/120]\tlr: 1.000e-02, eta: 2 days, 2:00:00, \
time: 0.200, data_time: 0.051, memory: 2404, loss_cls: 0.3264, acc: 95.1289, loss: 4.0000
2022-06-03 06:33:47,715 - mmdet - INFO - Epoch [1][100/120]\tlr: 1.000e-02, eta: 0:00:10, \
time: 0.200, loss: 3.0000
2022-06-03 06:34:47,715 - mmdet - INFO - Epoch(val) [1][7]\tsegm_mAP: 0.2000, bbox_mAP: 0.2500
2022-06-03 06:35:47,715 - mmdet - INFO - Epoch [2][50/120]\tlr: 1.000e-03, eta: 0:00:10, \
time: 0.400, loss: 2.0000
2022-06-03 06:35:57,715 - mmdet - INFO - Epoch [2][100/120]\tlr: 1.000e-03, eta: 0:00:05, \
time: 0.400, loss: 1.0000
2022-06-03 06:36:47,715 - mmdet - INFO - Epoch(val) [2][7]\tsegm_mAP: 0.3000, bbox_mAP: 0.3500
"""
ENGINE = """\
06/11 03:36:16 - mmengine - INFO - Epoch(train) [1][ 5/6]  lr: 9.4971e-06  eta: 0:00:10  time: 0.4000  \
data_time: 0.1527  memory: 1535  loss: 0.6198  loss_cls: 0.4284
06/11 03:36:17 - mmengine - INFO - Epoch(val) [1][2/2]    coco/segm_mAP: 0.4000  mIoU: 45.5000  time: 9.0
06/11 03:36:18 - mmengine - INFO - Epoch(train)  [2][5/6]  base_lr: 1.0e-06 lr: 9.0e-07  \
time: 0.2000  loss: 0.5
"""


def write(path, lines):
    path.write_text("\n".join(map(json.dumps, lines)) + "\n", "utf-8")
    return path


def test_iterations_that_restart_are_steps_of_all_epochs(tmp_path):
    run = read_run(write(tmp_path / "run.log.json", EPOCHS))
    loss = run.series["train/loss"]
    assert loss.steps == (50, 100, 150, 200) and loss.values == (4, 3, 2, 1)
    assert loss.seconds == pytest.approx((10, 20, 40, 60))  # 100 steps of 0.2 s, 100 of 0.4 s
    assert run.series["val/ap"].steps == (100, 200) and run.series["val/ap"].values == (0.2, 0.3)
    assert run.steps == 200 and run.seconds == pytest.approx(60)


def test_the_length_of_an_epoch_is_in_the_text_log_beside(tmp_path):
    (tmp_path / "run.log").write_text(TEXT, "utf-8")
    run = read_run(write(tmp_path / "run.log.json", EPOCHS))
    assert run.series["train/loss"].steps == (50, 100, 170, 220)
    assert run.series["val/ap"].steps == (120, 240)


def test_iterations_that_go_on_over_epochs_are_steps(tmp_path):
    lines = [
        {"mode": "train", "epoch": 1, "iter": 50, "lr": 0.01, "loss": 2.0, "time": 0.5},
        {"mode": "train", "epoch": 3, "iter": 100, "lr": 0.01, "loss": 1.0, "time": 0.5},
        {"mode": "val", "epoch": 3, "iter": 9, "lr": 0.01, "mIoU": 0.5},
    ]
    run = read_run(write(tmp_path / "run.log.json", lines))
    assert run.series["train/loss"].steps == (50, 100) and run.series["val/mean_iou"].steps == (100,)


def test_text_of_mmcv(tmp_path):
    (tmp_path / "20220603_063326.log").write_text(TEXT, "utf-8")
    run = read_run(tmp_path)
    loss = run.series["train/loss"]
    assert loss.steps == (50, 100, 170, 220) and loss.values == (4, 3, 2, 1)
    # 100 steps of 0.2 s, then 70 + 50 of 0.4 s
    assert loss.seconds == pytest.approx((10, 20, 48, 68))
    assert run.series["train/learning_rate"].values == (0.01, 0.01, 0.001, 0.001)
    assert run.series["val/ap"].steps == (120, 240) and run.series["val/box_ap"].values == (0.25, 0.35)
    assert run.series["memory"].values == (2404,) and "eta" not in run.series


def test_text_of_steps(tmp_path):
    text = (
        "2022-05-22 03:27:54,266 - mmseg - INFO - Iter [50/320000]\tlr: 9.799e-07, eta: 2 days, 18:10:31, "
        "time: 0.5, data_time: 0.010, memory: 7999, decode.loss_seg: 4.1118, loss: 5.7440\n"
        "2022-05-22 03:28:54,266 - mmseg - INFO - Iter(val) [9]\tmIoU: 0.4500, aAcc: 0.9000\n"
    )
    (tmp_path / "run.log").write_text(text, "utf-8")
    run = read_run(tmp_path / "run.log")
    assert run.series["train/loss"].steps == (50,) and run.series["train/loss"].seconds == (25,)
    assert run.series["val/mean_iou"].values == (0.45,) and run.series["val/mean_iou"].steps == (50,)


def test_text_of_mmengine(tmp_path):
    (tmp_path / "run.log").write_text(ENGINE, "utf-8")
    run = read_run(tmp_path)
    assert run.series["train/loss"].steps == (5, 11) and run.series["train/loss"].values == (0.6198, 0.5)
    assert run.series["train/loss"].seconds == pytest.approx((2.0, 3.2))  # 5 x 0.4 s, then 6 x 0.2 s
    assert run.series["val/ap"].steps == (6,) and run.series["val/ap"].values == (0.4,)
    assert run.series["val/mean_iou"].values == (0.455,)


def test_detectron2(tmp_path):
    lines = [
        {"data_time": 0.1, "eta_seconds": 99, "iteration": 19, "lr": 0.01, "time": 0.5, "total_loss": 2.0},
        {"data_time": 0.1, "eta_seconds": 90, "iteration": 39, "lr": 0.02, "time": 0.25, "total_loss": 1.0},
        {"iteration": 39, "segm/AP": 30.0, "bbox/AP": 40.0, "sem_seg/mIoU": 50.0},
    ]
    write(tmp_path / "metrics.json", lines)
    run = read_run(tmp_path)
    loss = run.series["train/loss"]
    assert loss.steps == (20, 40) and loss.values == (2, 1)
    assert loss.seconds == pytest.approx((10, 15))  # 20 steps of 0.5 s, 20 of 0.25 s
    assert run.series["val/ap"].values == (0.3,) and run.series["val/ap"].steps == (40,)
    assert run.series["val/box_ap"].values == (0.4,) and run.series["val/mean_iou"].values == (0.5,)
    assert run.series["train/learning_rate"].values == (0.01, 0.02) and "eta_seconds" not in run.series
