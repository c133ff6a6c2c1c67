"""Runs the quick tests with several versions of Python and of the libraries; `make test-matrix`.

Each row of `ROWS` has an environment of its own below `.venv-matrix`, made by uv. A row whose Python is not
on this machine is reported as missing, and is no failure.
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / ".venv-matrix"
EXTRAS = "serve"
"""Extras of limner that the tests cannot do without."""
TOOLS = ("httpx", "import-linter", "pytest", "pytest-xdist", "hypothesis", "scikit-learn")
"""What the tests need beyond limner; optional tests skip themselves."""

QUICK = "not long and not slow and not peer"


@dataclass(frozen=True)
class Row:
    """One environment: a version of Python, with the newest libraries or the lowest that are allowed."""

    python: str
    resolution: str

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.python}-{self.resolution}"


ROWS = (Row("3.10", "lowest-direct"), Row("3.10", "highest"), Row("3.13", "highest"))


UV = (sys.executable, "-m", "uv")


def interpreter(version: str) -> str | None:
    """Return a Python of this version that runs: on the path, of pyenv, or known to uv."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    asked = [*UV, "python", "find", "--no-python-downloads", version]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    found = (
        shutil.which(f"python{version}"),
        *sorted(map(str, versions.glob(f"{version}.*/bin/python"))),
        told,
    )
    return next((python for python in found if python and _runs(python)), None)


def _runs(python: str) -> bool:
    """Tell whether a program runs: pyenv puts names of all its versions on the path, which may not."""
    return subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0


def install(row: Row, python: str) -> Path:
    """Make the environment of a row unless it is there, and return its interpreter."""
    folder = FOLDER / row.name
    own, frozen = folder / "bin" / "python", folder / "limner-needs.txt"
    if frozen.exists():
        return own
    pip = [*UV, "pip", "install", "--python", str(own)]
    _run([*UV, "venv", "--clear", "--python", python, str(folder)])
    _run([*pip, "--resolution", row.resolution, "--editable", f"{REPOSITORY}[{EXTRAS}]"])
    needs = subprocess.run(
        [*UV, "pip", "freeze", "--exclude-editable", "--python", str(own)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    constraints = folder / "constraints.txt"
    constraints.write_text(needs, "utf-8")
    _run([*pip, "--constraint", str(constraints), *TOOLS])
    constraints.rename(frozen)
    return own


def _run(command: list[str]) -> None:
    print(" ".join(command), flush=True)
    subprocess.run(command, check=True)


def main() -> int:
    """Run every row, or those that are named, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="such as 3.10-lowest-direct; default: all")
    parser.add_argument("--tests", nargs="+", default=["tests"], help="tests to run")
    parser.add_argument("--workers", type=int, default=2, help="tests that run at the same time")
    given = parser.parse_args()
    results: dict[str, str] = {}
    for row in ROWS:
        if given.rows and row.name not in given.rows:
            continue
        python = interpreter(row.python)
        results[row.name] = (
            "missing: no such Python here"
            if python is None
            else _tested(row, python, given.tests, given.workers)
        )
    print("\n| Python and libraries | quick tests |\n| --- | --- |")
    print("\n".join(f"| {name} | {result} |" for name, result in results.items()))
    return any(result.startswith("failed") for result in results.values())


def _tested(row: Row, python: str, tests: list[str], workers: int) -> str:
    own = install(row, python)
    command = [str(own), "-m", "pytest", "-n", str(workers), "--dist", "worksteal", "-m", QUICK, *tests]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False)
    return "failed" if ended.returncode else "passed"


if __name__ == "__main__":
    sys.exit(main())
