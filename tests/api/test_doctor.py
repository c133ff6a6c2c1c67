"""The doctor tells a sound installation from a broken one."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from limner.api import doctor as module
from limner.api.doctor import Exam, _required_part, doctor


def test_a_sound_machine_gets_a_verdict_that_names_its_device():
    diagnosis = doctor()
    assert diagnosis.is_healthy
    assert diagnosis.verdict.startswith("Ready: limner trains on")
    groups = {exam.group for exam in diagnosis.exams}
    assert groups == {
        "python", "limner", "accelerator", "processor", "memory", "disk", "weights", "pictures", "optional",
    }  # fmt: skip
    assert json.loads(json.dumps(diagnosis.to_dict()))["healthy"] is True


def test_an_absent_optional_part_comes_with_its_install_line(monkeypatch):
    monkeypatch.setattr(module, "OPTIONAL_PARTS", (("no_such_part", "no-such-part", "nothing"),))
    (exam,) = module._optional_parts()
    assert (exam.state, exam.fix) == ("note", "pip install no-such-part")


def test_only_parts_that_limner_can_use_are_offered():
    # Whoever installs what doctor names must get what doctor says it is for.
    source = Path(module.__file__).parents[1]
    files = [f for f in source.rglob("*.py") if f != Path(module.__file__)]
    text = "\n".join(f.read_text("utf-8") for f in files)
    # Trackers are accelerate's, by name; other parts are imported.
    unused = [m for m, _, _ in module.OPTIONAL_PARTS if f'"{m}"' not in text and f"import {m}" not in text]
    assert unused == []


def test_a_required_part_that_is_too_old_is_broken():
    installed = metadata.version("numpy")
    exam = _required_part("numpy>=999")
    assert exam == Exam(
        "limner", "numpy", f"{installed}; limner needs >=999", "broken", "pip install 'numpy>=999'"
    )


def test_a_required_part_that_is_missing_is_broken():
    exam = _required_part("no-such-distribution>=1")
    assert (exam.state, exam.found) == ("broken", "not installed")


def test_a_required_part_whose_import_fails_is_broken_and_says_why(monkeypatch):
    def refuse(name):
        raise OSError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(module.importlib, "import_module", refuse)
    exam = _required_part("numpy>=1")
    assert exam.state == "broken"
    assert "libGL.so.1" in exam.found
    assert "--force-reinstall" in exam.fix


def test_something_broken_makes_the_diagnosis_unhealthy(monkeypatch):
    broken = Exam("limner", "torch", "not installed", "broken", "pip install torch")
    monkeypatch.setattr(module, "_required_parts", lambda: iter([broken]))
    diagnosis = doctor()
    assert not diagnosis.is_healthy
    assert diagnosis.verdict.startswith("Broken: torch.")


def test_the_command_prints_json_and_exits_with_one_only_when_broken():
    command = [sys.executable, "-c", "from limner.cli.app import main; main()", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"].startswith("Ready")
