"""A whole run of seconds for the tests of training, in this process or in one of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("tiny_run.py")
SOURCE = Path(__file__).parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def tiny():
    """The module of the tiny run."""
    spec = importlib.util.spec_from_file_location("tiny_run", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_run"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def run_script():
    """Run the tiny run in a process of its own; returns what `subprocess.run` does."""

    def run(folder, *arguments, launcher=()):
        command = [sys.executable, *launcher, str(SCRIPT), str(folder), *arguments]
        return subprocess.run(
            command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.fixture(scope="session")
def run_forked():
    """Run the tiny run in a process forked from one that has imported everything; returns its exit code."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(SCRIPT)], env=ENVIRONMENT, **pipes) as process:

        def run(folder, *arguments):
            print(json.dumps([str(folder), *arguments]), file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield run
