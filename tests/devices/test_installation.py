"""What is installed is told from what is missing, too old, or broken."""

from importlib import metadata
from pathlib import Path

from limner.devices import installation as module
from limner.devices.exam import Exam
from limner.devices.installation import required_part_exam


def test_an_absent_optional_part_comes_with_its_install_line(monkeypatch):
    monkeypatch.setattr(module, "OPTIONAL_PARTS", (("no_such_part", "no-such-part", "nothing"),))
    (exam,) = module.optional_part_exams()
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
    exam = required_part_exam("numpy>=999")
    assert exam == Exam(
        "limner", "numpy", f"{installed}; limner needs >=999", "broken", "pip install 'numpy>=999'"
    )


def test_a_required_part_that_is_missing_is_broken():
    exam = required_part_exam("no-such-distribution>=1")
    assert (exam.state, exam.found) == ("broken", "not installed")


def test_a_required_part_whose_import_fails_is_broken_and_says_why(monkeypatch):
    def refuse(name):
        raise OSError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(module.importlib, "import_module", refuse)
    exam = required_part_exam("numpy>=1")
    assert exam.state == "broken"
    assert "libGL.so.1" in exam.found
    assert "--force-reinstall" in exam.fix
