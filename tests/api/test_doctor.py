"""The doctor tells a sound installation from a broken one."""

import json

from limner.api import doctor as module
from limner.api.doctor import doctor
from limner.devices.exam import Exam


def test_a_sound_machine_gets_a_verdict_that_names_its_device():
    diagnosis = doctor()
    assert diagnosis.is_healthy
    assert diagnosis.verdict.startswith("Ready: limner trains on")
    groups = {exam.group for exam in diagnosis.exams}
    assert groups == {
        "python", "limner", "accelerator", "processor", "memory", "disk", "weights", "pictures", "optional",
    }  # fmt: skip
    assert json.loads(json.dumps(diagnosis.to_dict()))["healthy"] is True


def test_something_broken_makes_the_diagnosis_unhealthy(monkeypatch):
    broken = Exam("limner", "torch", "not installed", "broken", "pip install torch")
    monkeypatch.setattr(module, "required_part_exams", lambda: iter([broken]))
    diagnosis = doctor()
    assert not diagnosis.is_healthy
    assert diagnosis.verdict.startswith("Broken: torch.")


def test_the_verdict_names_what_to_fix_first(monkeypatch):
    exams = [
        Exam("accelerator", "accelerator", "none", "note", "Buy one."),
        Exam("accelerator", "copies", "1 GB/s", "warning", "Use another slot."),
        Exam("accelerator", "trial", "fails", "warning", "Update the driver."),
    ]
    monkeypatch.setattr("limner.devices.accelerator_exams.accelerator_exams", lambda: iter(exams))
    monkeypatch.setattr("limner.devices.host_exams.host_exams", lambda: iter([]))
    verdict = doctor().verdict
    assert verdict.startswith("Ready")
    assert verdict.endswith("2 warnings above. First: copies: Use another slot.")


def test_the_command_prints_json_and_exits_with_one_only_when_broken(command_line):
    done = command_line("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"].startswith("Ready")
