"""Checks of `limner doctor` on the installation: Python, required and optional libraries."""

import importlib
import importlib.util
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from limner.devices.exam import Exam

OLDEST_PYTHON, NEWEST_TESTED_PYTHON = (3, 10), (3, 13)

IMPORTED_AS = {"opencv-python-headless": "cv2", "pillow": "PIL", "pyyaml": "yaml"}
"""Module names of distributions whose module has a different name."""

OPTIONAL_PARTS = (
    ("wandb", "wandb", "follow runs on Weights & Biases"),
    ("mlflow", "mlflow", "follow runs in MLflow"),
)
"""Module, distribution and purpose of each optional library."""


def python_exam() -> Exam:
    """Check the Python version."""
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        fix = "Install Python 3.10 or newer and make a new environment with it."
        return Exam("python", "Python", found, "broken", fix)
    if sys.version_info[:2] > NEWEST_TESTED_PYTHON:
        return Exam("python", "Python", f"{found}; limner is tested on 3.10 to 3.13", "warning")
    return Exam("python", "Python", found)


def required_part_exams() -> Iterator[Exam]:
    """Check the version of every required library, and whether it can be imported."""
    try:
        requirements = metadata.requires("limner") or []
    except metadata.PackageNotFoundError:
        fix = "Install it: pip install limner"
        yield Exam("limner", "installation", "limner can be imported but is not installed", "warning", fix)
        return
    for requirement in requirements:
        if ";" not in requirement:
            yield required_part_exam(requirement)


def required_part_exam(requirement: str) -> Exam:
    """Check whether one library is installed in a compatible version and can be imported."""
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    name = "PyTorch" if wanted.name == "torch" else wanted.name
    fix = f"pip install '{requirement}'"
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return Exam("limner", name, "not installed", "broken", fix)
    if not wanted.specifier.contains(version, prereleases=True):
        return Exam("limner", name, f"{version}; limner needs {wanted.specifier}", "broken", fix)
    try:
        importlib.import_module(IMPORTED_AS.get(wanted.name, wanted.name))
    except Exception as error:  # noqa: BLE001 - a broken binary can raise any error
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        fix = f"pip install --force-reinstall '{requirement}'"
        return Exam("limner", name, f"{version}, but importing it fails: {reason}", "broken", fix)
    return Exam("limner", name, version)


def optional_part_exams() -> Iterator[Exam]:
    """Yield whether each of `OPTIONAL_PARTS` is installed, and its purpose."""
    for module, distribution, purpose in OPTIONAL_PARTS:
        if importlib.util.find_spec(module) is None:
            fix = f"pip install {distribution}"
            yield Exam("optional", distribution, f"not installed: {purpose}", "note", fix)
            continue
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            version = "installed"
        yield Exam("optional", distribution, f"{version}: {purpose}")
