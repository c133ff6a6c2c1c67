"""`make gpu-check`, in small on the CPU: its checks work, and what fails makes it fail."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "gpu_check.py"


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location("gpu_check", FILE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_check", module)
    spec.loader.exec_module(module)
    return module


def run(gpu_check, tmp_path, *checks):
    words = ["--dry", "--device", "cpu", "--out", str(tmp_path / "table.md"), "--only", *checks]
    code = gpu_check.main(words)
    return code, (tmp_path / "table.md").read_text("utf-8")


def test_a_cpu_passes_what_it_can(gpu_check, tmp_path, monkeypatch):
    cheap = [case for case in gpu_check.DENSE if case[1].startswith("unet")]  # the others have whole ResNets
    monkeypatch.setattr(gpu_check, "DENSE", cheap)
    monkeypatch.setattr(gpu_check, "MATCHED", ())
    code, table = run(gpu_check, tmp_path, "doctor", "steps", "waiting", "precision")
    assert code == 0, table
    assert "| doctor | verdict | Ready: limner trains on" in table
    for task in ("semantic", "instance"):
        assert f"| steps | {task}, " in table
    assert "| precision | bfloat16 | largest error" in table
    assert table.count("| not run |") == len(cheap) == 2  # PyTorch does not see who waits for a CPU


def failing(setting):
    raise RuntimeError("no kernel image | for this device\nmore")
    yield


def wrong(setting):
    from gpu_check import FAILED, Row

    yield Row("memory", "step", "too much", FAILED)


@pytest.mark.parametrize(
    ("check", "line"),
    [
        (failing, r"| kernel | error | RuntimeError: no kernel image \| for this device | FAILED |"),
        (wrong, "| memory | step | too much | FAILED |"),
    ],
)
def test_a_failure_is_in_the_table_and_in_the_exit_code(gpu_check, tmp_path, monkeypatch, check, line):
    monkeypatch.setitem(gpu_check.CHECKS, "kernel", check)
    code, table = run(gpu_check, tmp_path, "kernel")
    assert code == 1
    assert line in table


def test_what_does_not_fit_into_the_time_is_named(gpu_check, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "LIMIT_SECONDS", -1)
    code, table = run(gpu_check, tmp_path, "kernel", "run")
    assert (code, table.count("the checks before it took all the time")) == (0, 2)


def test_a_missing_library_comes_with_its_install_line(gpu_check, tmp_path, monkeypatch):
    exam = gpu_check.Exam("limner", "msgspec", "not installed", "broken", "pip install 'msgspec>=0.19'")
    monkeypatch.setattr(gpu_check, "required_part_exam", lambda _: exam)
    code, table = run(gpu_check, tmp_path, "kernel")
    assert code == 1
    assert "not installed (pip install 'msgspec>=0.19')" in table


def test_every_library_of_the_project_is_looked_for(gpu_check, monkeypatch):
    asked = []
    monkeypatch.setattr(
        gpu_check, "required_part_exam", lambda one: asked.append(one) or gpu_check.Exam("limner", one, "")
    )
    assert gpu_check.missing_libraries() == []
    assert "torch>=2.6" in asked and "accelerate>=1.2" in asked and len(asked) > 15
