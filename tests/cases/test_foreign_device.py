"""A type of device that limner has never heard of does what every accelerator does, under its own name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from stand_in_device import NAME, PRODUCT
from torch.utils import backend_registration

import limner
from limner.api.load import load

SCRIPT = Path(__file__).parents[1] / "references" / "stand_in_run.py"
SOURCE = Path(limner.__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this PyTorch registers devices in C++ only",
)


@pytest.fixture(scope="module")
def folder(module_cells, tmp_path_factory):
    """What the commands wrote on the foreign device, in a process of its own."""
    folder = tmp_path_factory.mktemp("foreign")
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(SCRIPT), str(module_cells), str(folder / "run")],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"LIMNER_CACHE": str(folder / "cache"), "PYTHONPATH": str(SOURCE)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def found(folder):
    return json.loads((folder / "found.json").read_text("utf-8"))


def test_every_command_ends_well(found):
    assert {name: found[name] for name in ("plan", "train", "predict", "report")} == dict.fromkeys(
        ("plan", "train", "predict", "report"), 0
    )


def test_doctor_names_it(found):
    exams = {exam["name"]: exam for exam in found["doctor"]["exams"] if exam["group"] == "accelerator"}
    assert exams[NAME.upper()]["found"].startswith(f"{PRODUCT}, 3.0 GiB free of 4.0 GiB, fast in float32")
    assert exams["trial"]["state"] == "good"
    assert "GB/s from the host" in exams["copies"]["found"]
    assert found["doctor"]["verdict"].startswith(f"Ready: limner trains on {PRODUCT} in float32.")


def test_the_plan_is_made_for_it(folder):
    plan = (folder / "plan.yaml").read_text("utf-8")
    assert f"{PRODUCT} has no fast 16-bit format" in plan
    assert "whether compiling pays" in plan


def test_run_and_report_name_it(folder):
    environment = json.loads((folder / "run" / "environment.json").read_text("utf-8"))
    assert (environment["device"], environment["device_name"]) == (NAME, PRODUCT)
    report = (folder / "run" / "report.html").read_text("utf-8")
    assert PRODUCT in report
    assert "0.50 GB of tensors on the device" in report


def test_predictions_are_those_of_the_cpu(folder, module_cells):
    predictor = load(folder / "run", device="cpu", precision="float32")
    for image in sorted((module_cells / "images").iterdir()):
        expected = 255 * predictor.predict(image).semantic
        stored = cv2.imread(str(folder / "predicted" / "masks" / image.name), cv2.IMREAD_UNCHANGED)
        assert np.mean(stored == expected) > 0.99, image.name


def test_a_step_does_not_wait_for_it(found):
    assert np.isfinite(found["loss"])
    assert "waits for the device" in found["waiting"]  # the check sees a step that reads its loss


@pytest.mark.parametrize(
    ("loss", "times"),
    [
        ("lovasz", 0),
        ("text", 0),
        ("centres", 0),
        ("points", 0),
        ("boxes", 1),
        ("segments", 1),
        ("regions", 2),
    ],
)
def test_losses_wait_for_it_only_to_match_and_for_the_classes_of_label_maps(found, loss, times):
    """All layers, stages and images are matched on the host together."""
    on_cpu, there = found["losses"][loss]["totals"]
    assert there == pytest.approx(on_cpu, rel=1e-5)
    assert len(found["losses"][loss]["waited"]) == times, found["losses"][loss]["waited"]


def test_it_is_unknown_to_this_process():
    assert torch.accelerator.current_accelerator() is None or NAME not in str(
        torch.accelerator.current_accelerator()
    )
