import json
import os
import signal
import subprocess
import sys

import pytest

from limner.core.errors import ConfigError
from limner.storage import folder_lock
from limner.storage.folder_lock import LOCK, locked_folder

HOLD = """
import sys, time
from pathlib import Path
from limner.storage.folder_lock import locked_folder
with locked_folder(Path(sys.argv[1]), what="training"):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder):
    with locked_folder(folder, what="training"):
        pass


@pytest.fixture
def other(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_one_process_at_a_time_even_after_kill(other, tmp_path):
    with pytest.raises(ConfigError, match=rf"training, process {other.pid} on \S+, since 20"):
        hold(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert (tmp_path / LOCK).exists()
    with locked_folder(tmp_path, what="training"):
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_process_does_not_enter_twice(tmp_path):
    with locked_folder(tmp_path, what="training"), pytest.raises(ConfigError, match=str(os.getpid())):
        hold(tmp_path)
    assert not (tmp_path / LOCK).exists()


def test_without_locks_of_the_system_the_file_decides(other, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "_try_system_lock", lambda file: None)
    with pytest.raises(ConfigError, match=f"process {other.pid}"):
        hold(tmp_path)
    other.kill()
    other.wait()
    hold(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"process": "x"}', '{"process": 1, "boot": null}'])
def test_damaged_lock_files_are_passed_over(tmp_path, text, monkeypatch):
    here = folder_lock.this_process("")
    told = json.loads(text) | {"host": here["host"]} if text.endswith("}") else text
    (tmp_path / LOCK).write_text(told if isinstance(told, str) else json.dumps(told))
    with locked_folder(tmp_path, what="training"):
        assert json.loads((tmp_path / LOCK).read_text())["process"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


def test_another_machine_is_named_with_the_way_to_go_on(tmp_path):
    told = {"process": 7, "host": "node17", "boot": "x", "started": "1", "what": "training", "since": "2026"}
    (tmp_path / LOCK).write_text(json.dumps(told))
    with pytest.raises(ConfigError, match=rf"process 7 on node17, since 2026(.|\n)*delete {tmp_path / LOCK}"):
        hold(tmp_path)
    (tmp_path / LOCK).unlink()
    hold(tmp_path)
