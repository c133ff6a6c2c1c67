"""The command line in this process, and a good dataset, run and model for the tests to spoil.

Every call of `limner` below also proves what holds for all bad input: an exception that is not a message to
the user reaches the test as itself, and no file that limner was given is changed.
"""

import hashlib
import io
import os
import shutil
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from limner.cli import console
from limner.cli.app import main

OUTPUTS = {"runs", "out", "cache", "evaluation", "dataset.yaml.schema.json"}
"""Names in the working folder that limner may write to."""

SMALL = (
    *("--set", "train.steps=4", "--set", "network.options.widths=[4,6]"),
    *("--set", "input.crop_size=[32,32]", "--network", "unet"),
)
TINY = (*SMALL, "--set", "train.trackers=[]", "--set", "train.workers=0")


@dataclass(frozen=True)
class Answer:
    """What the command line said."""

    code: int
    out: str
    err: str

    def says(self, *words: str) -> None:
        """Assert that each word stands in the answer, wherever lines are folded."""
        told = " ".join((self.out + self.err).split())
        for word in words:
            assert word in told, f"{word!r} is missing in:\n{self.out}\n{self.err}"

    def refuses(self, *words: str) -> None:
        """Assert that the command stopped with a message on stderr and exit code 2."""
        assert self.code == 2, self
        assert self.err.strip() and "Traceback" not in self.err
        self.says(*words)


def command(*words: object, cwd: Path) -> Answer:
    """Run `limner WORDS` in a folder; inputs may not change, and only messages may be raised."""
    before = _contents(cwd)
    out, err, old = io.StringIO(), io.StringIO(), Path.cwd()
    console.console.cache_clear()
    console.messages.cache_clear()
    argv, sys.argv = sys.argv, ["limner", *map(str, words)]
    os.chdir(cwd)
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            main()
        code: object = 0
    except SystemExit as error:
        code = error.code
    finally:
        os.chdir(old)
        sys.argv = argv
        console.console.cache_clear()
        console.messages.cache_clear()
    answer = Answer(int(code or 0), out.getvalue(), err.getvalue())
    assert "Traceback" not in answer.out + answer.err
    after = _contents(cwd)
    changed = sorted(name for name, digest in before.items() if after.get(name) != digest)
    assert not changed, f"limner changed {changed}"
    return answer


def _contents(folder: Path) -> dict[str, str]:
    digests = {}
    for where, _, names in os.walk(folder):
        if set(Path(where).relative_to(folder).parts) & OUTPUTS:
            continue
        for path in (Path(where, name) for name in names):
            if path.is_file() and os.access(path, os.R_OK) and path.stat().st_size < 2**20:
                with path.open("rb") as file:
                    digests[str(path.relative_to(folder))] = hashlib.sha256(file.read()).hexdigest()
    return digests


def write_cells(folder: Path, count: int = 12) -> Path:
    """Write images of discs with masks of 0 and 255, and a dataset.yaml that names both."""
    draw = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:40, :48]
    for n in range(count):
        disc = (rows - 12 - n) ** 2 + (columns - 30 + n) ** 2 < (7 + n % 4) ** 2
        noise = draw.integers(0, 90, (40, 48, 3)) + 130 * disc[..., None]
        write_picture(folder / f"images/cell_{n:02}.png", noise.astype(np.uint8))
        write_picture(folder / f"masks/cell_{n:02}.png", disc.astype(np.uint8) * 255)
    (folder / "dataset.yaml").write_text(
        "classes:\n- {name: background, value: 0}\n- {name: cell, value: 255}\n", "utf-8"
    )
    return folder


def write_picture(path: Path, pixels: np.ndarray) -> Path:
    """Encode by OpenCV in the format of the suffix; the name may hold any characters."""
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMNER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def limner(tmp_path):
    """`limner WORDS` in the test's own folder."""
    return lambda *words: command(*words, cwd=tmp_path)


@pytest.fixture
def picture():
    """Writes an array as an image file."""
    return write_picture


@pytest.fixture
def cells(tmp_path):
    """A good dataset, `data` in the test's own folder."""
    return write_cells(tmp_path / "data")


@pytest.fixture(scope="session")
def _finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    write_cells(folder / "data")
    answer = command("train", "data", "--run", "one", "--device", "cpu", *TINY, cwd=folder)
    assert answer.code == 0, answer
    return folder


@pytest.fixture
def tiny():
    """The options that make a training take seconds."""
    return ("--device", "cpu", *TINY)


@pytest.fixture
def finished(_finished, tmp_path):
    """A finished run, `runs/one`, of four steps on `data`, both copied into the test's own folder."""
    for part in ("data", "runs"):
        shutil.copytree(_finished / part, tmp_path / part, dirs_exist_ok=True)
    return tmp_path / "runs" / "one"
