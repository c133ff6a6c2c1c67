"""A clock that goes backwards, and a user who may write nowhere but in the working folder."""

import csv
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

import limner
from limner.storage.filled_folder import own_files

SMALL = {
    "network": {"name": "unet", "options": {"widths": [4, 6]}, "pretrained": "no"},
    "input": {"crop_size": [32, 32]},
    "train": {"steps": 4, "batch_size": 2, "validate_every": 1, "save_every": 1, "trackers": ["tensorboard"]},
}
NOBODY = 65534


@pytest.fixture
def clock_backwards(monkeypatch):
    """Each look at the clock of the wall is an hour before the last one."""
    seconds = count(time.time(), -3600)
    monkeypatch.setattr(time, "time", lambda: next(seconds))
    monkeypatch.setattr(time, "time_ns", lambda: int(next(seconds) * 1e9))


def test_a_change_with_an_older_time_is_noticed(cells, tmp_path, monkeypatch, clock_backwards):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    before = limner.check(cells).to_dict()
    mask = cells / "masks" / "cell_1.png"
    status = mask.stat()
    cv2.imwrite(str(mask), np.zeros((41, 50), np.uint8))
    os.utime(mask, ns=(status.st_atime_ns, status.st_mtime_ns - 3600 * 10**9))
    after = limner.check(cells).to_dict()
    assert before != after
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "another"))
    assert limner.check(cells).to_dict() == after


def test_a_training_with_a_clock_that_goes_backwards(cells, tmp_path, clock_backwards):
    run = limner.train(cells, run=tmp_path / "run", settings=SMALL, device="cpu")
    with run.metrics.open(encoding="utf-8") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    assert seconds == sorted(seconds) and 0 <= seconds[0] <= seconds[-1] < 600
    for _ in range(2):  # the second replaces the files of the first, whose times are in the future
        limner.predict(run.root, cells / "images", out=tmp_path / "out", device="cpu")
        for path in (tmp_path / "out").rglob("*.png"):
            assert path.relative_to(tmp_path / "out").as_posix() in own_files(tmp_path / "out", by="predict")


AS_NOBODY = """
import sys
import limner
data, folder, settings = sys.argv[1], sys.argv[2], eval(sys.argv[3])
assert not limner.check(data).errors
run = limner.train(data, run=folder + "/run", settings=settings, device="cpu")
limner.predict(run.root, data + "/images", out=folder + "/out", device="cpu")
limner.report(run.root)
"""


def python_of_nobody():
    """Return a Python of this version that any user may run, if there is one."""
    for python in (sys.executable, "/usr/bin/python{}.{}".format(*sys.version_info)):
        with suppress(OSError):
            code = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
            command = [python, "-c", code]
            if subprocess.run(command, user=NOBODY, cwd="/", env={}, check=False).returncode == 0:
                return python
    return None


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become someone else")
def test_an_unprivileged_user_with_a_read_only_installation(cells, tmp_path):
    python = python_of_nobody()
    if python is None:
        pytest.skip("other users may not run this Python")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        data, work = Path(folder, "data"), Path(folder, "work")
        Path(folder).chmod(0o755)
        cells.rename(data)
        work.mkdir()
        os.chown(work, NOBODY, NOBODY)
        before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
        path = os.pathsep.join([str(Path(limner.__file__).parents[1]), *filter(None, sys.path)])
        done = subprocess.run(
            [python, "-c", AS_NOBODY, str(data), str(work), repr(SMALL)],
            user=NOBODY, group=NOBODY, cwd=work, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": path,
                 "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (work / "run" / "report.html").is_file() and len([*(work / "out/masks").iterdir()]) == 6
        assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before
