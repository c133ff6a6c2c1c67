import json

import pytest

import limner
from limner.core.errors import ConfigError, DataError
from limner.reporting.logged_facts import logged_facts

MMENGINE = """\
2026/01/01 12:00:00 - mmengine - INFO -
------------------------------------------------------------
System environment:
    sys.platform: linux
    CUDA available: True
    GPU 0,1,2,3: NVIDIA A100-SXM4-40GB
Runtime environment:
    Distributed training: True
    GPU number: 4
------------------------------------------------------------
2026/01/01 12:00:00 - mmengine - INFO - Config:
model = dict(
    backbone=dict(depth=50, norm_cfg=dict(type='SyncBN'), type='ResNetV1c'),
    decode_head=dict(loss_decode=dict(type='CrossEntropyLoss'), type='PSPHead'),
    type='EncoderDecoder')
optim_wrapper = dict(optimizer=dict(lr=0.01, type='SGD'), type='AmpOptimWrapper')
train_dataloader = dict(batch_size=2, dataset=dict(type='CityscapesDataset'), num_workers=2)
work_dir = __import__('os').system('touch /tmp/never')
2026/01/01 12:01:00 - mmengine - INFO - Iter(train) [ 50/100]  lr: 1.0e-02  eta: 1:00:00  time: 0.5  \
data_time: 0.01  loss: 2.0  decode.loss_ce: 1.5
2026/01/01 12:02:00 - mmengine - INFO - Iter(train) [100/100]  lr: 1.0e-03  eta: 0:00:00  time: 0.5  \
data_time: 0.01  loss: 1.0  decode.loss_ce: 0.8
2026/01/01 12:02:30 - mmengine - INFO - Iter(val) [10/10]    aAcc: 90.0  mIoU: 45.5  mAcc: 60.0
"""


def test_mmengines_text_log(tmp_path):
    log = tmp_path / "20260101.log"
    log.write_text(MMENGINE)
    assert logged_facts(log) == {
        "Devices": "4 × NVIDIA A100-SXM4-40GB",
        "Model": "EncoderDecoder, ResNetV1c",
        "Precision": "float16, mixed",
        "Batch": "2 per device, 8 in all",
    }


def test_mmengines_json_takes_the_text_log_above_it(tmp_path):
    scalars = tmp_path / "vis_data" / "scalars.json"
    scalars.parent.mkdir()
    scalars.write_text('{"loss": 1.0, "step": 1}\n')
    (tmp_path / "20260101.log").write_text(MMENGINE)
    assert logged_facts(scalars)["Model"] == "EncoderDecoder, ResNetV1c"


def test_mmcvs_first_line(tmp_path):
    log = tmp_path / "run.log.json"
    config = "model = dict(\n    type='MaskRCNN',\n    backbone=dict(type='ResNet'))\n"
    config += "data = dict(samples_per_gpu=2)\n"
    environment = "CUDA available: True\nGPU 0: Tesla V100\nGPU 1: Tesla T4"
    log.write_text(json.dumps({"env_info": environment, "config": config}) + "\n")
    assert logged_facts(log) == {
        "Devices": "Tesla V100, Tesla T4",
        "Model": "MaskRCNN, ResNet",
        "Precision": "float32",
        "Batch": "2 per device",
    }


def test_detectron(tmp_path):
    log = tmp_path / "metrics.json"
    log.write_text('{"iteration": 19, "total_loss": 1.0}\n')
    (tmp_path / "log.txt").write_text(
        "[01/01] detectron2 INFO: Rank of current process: 0. World size: 8\n"
        "GPU 0,1,2,3,4,5,6,7     Tesla V100-SXM2-32GB (arch=7.0)\n"
    )
    (tmp_path / "config.yaml").write_text(
        "MODEL:\n  META_ARCHITECTURE: GeneralizedRCNN\n  BACKBONE:\n    NAME: build_resnet_fpn_backbone\n"
        "SOLVER:\n  IMS_PER_BATCH: 16\n  AMP:\n    ENABLED: false\n"
    )
    assert logged_facts(log) == {
        "Devices": "8 × Tesla V100-SXM2-32GB",
        "Model": "GeneralizedRCNN, build_resnet_fpn_backbone",
        "Precision": "float32",
        "Batch": "16 in all",
    }


def test_lightning(tmp_path):
    log = tmp_path / "metrics.csv"
    log.write_text("epoch,step,train_loss\n0,9,0.8\n")
    (tmp_path / "hparams.yaml").write_text("arch: Unet\nencoder_name: resnet34\nbatch_size: 8\n")
    assert logged_facts(log) == {"Model": "Unet, resnet34", "Batch": "8 per device"}


@pytest.mark.parametrize("text", ["", "model = dict(type='X'", "model = dict(" * 500, "model = dict(1 +)"])
def test_a_log_that_is_cut_off_states_nothing(tmp_path, text):
    log = tmp_path / "a.log"
    log.write_text(text)
    assert logged_facts(log) == {}


def test_the_report_of_a_log(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    log = tmp_path / "work" / "20260101.log"
    log.parent.mkdir()
    log.write_text(MMENGINE)
    page = limner.report(log)
    assert page == log.parent / "report.html"
    text = page.read_text("utf-8")
    for words in ("4 × NVIDIA A100", "EncoderDecoder, ResNetV1c", "float16, mixed", "2 per device, 8 in all"):
        assert words in text
    assert "validation mean IoU was highest at step 100: 0.455" in text
    assert "decode.loss_ce" in text and "Learning rate" in text and "Reproduce" not in text
    assert limner.report(log.parent) == page  # a page of ours may be written again
    page.write_text("mine")
    with pytest.raises(ConfigError, match="would replace another file"):
        limner.report(log)


def test_a_log_without_times_has_a_report(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,step,train_loss\n0,9,0.8\n0,19,0.4\n")
    assert "Loss" in limner.report(tmp_path).read_text("utf-8")


def test_a_folder_without_a_log_is_no_run(tmp_path):
    with pytest.raises(DataError, match="not a run folder"):
        limner.report(tmp_path)
