"""Standard output that is closed or full, pipes, odd names and signals: one sentence, and never a hang."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import limner
from limner.cli import app as command_line
from limner.core.errors import ConfigError, DataError, StoppedBySignal
from limner.devices.device import choose_device
from limner.images.read_image import read_image
from limner.inference.image_paths import list_images
from limner.storage.json_files import write_json
from limner.training.interruption import Interruption

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes and signals")


def limner_command(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "limner", *map(str, arguments)], stderr=subprocess.PIPE, **options
    )


def test_a_reader_that_ends_early_gets_no_traceback():
    process = limner_command("check", "--schema", stdout=subprocess.PIPE)
    process.stdout.close()
    error = process.stderr.read()
    assert (process.wait(), error) == (1, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")  # noqa: PTH110
def test_a_full_output_is_said():
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = limner_command("check", "--schema", stdout=full)
    error = process.stderr.read().decode()
    assert process.wait() == 1
    assert error == "limner: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("~nouser/data", "the name of a user who does not exist"),
        ("x" * 3000, "3000 characters"),
        (f"{'long/' * 900}a", "characters"),
    ],
)
@pytest.mark.parametrize("command", ["check", "plan", "report"])
def test_paths_that_cannot_be_are_one_sentence(command, path, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["limner", command, path])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.startswith("limner: ")
    assert said in error or "There is no run folder" in error


def test_pipes_are_never_waited_for(cells, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="a pipe or a device"):
        read_image(tmp_path / "pipe.png")
    for name in ("labels.json", "train.txt", "a.xml", "masks/odd.png"):
        os.mkfifo(cells / name)
    assert len(limner.check(cells).source.records) >= 6
    with pytest.raises(ConfigError, match="would replace another file"):
        limner.browse(cells, out=tmp_path / "pipe.png")


def test_names_that_are_no_text_are_written_as_escapes(tmp_path):
    folder = os.fsdecode(b"caf\xe9")
    write_json(tmp_path / "a.json", {"path": folder})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"path": folder}


def test_images_with_names_that_are_no_text_are_found(tmp_path, cells):
    odd = tmp_path / os.fsdecode(b"caf\xe9.png")
    odd.write_bytes((cells / "images" / "cell_0.png").read_bytes())
    (image,) = list_images([odd])
    assert read_image(image.path).array.shape == (40, 50, 3)


def test_meta_is_no_device():
    with pytest.raises(ConfigError, match="'meta' cannot be used here"):
        choose_device("meta")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoppedBySignal(signal.SIGTERM), 143),
        (StoppedBySignal(signal.SIGHUP), 129),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_code_tells_the_signal(error, code, monkeypatch, capsys):
    def stop():
        raise error

    monkeypatch.setattr(command_line, "app", stop)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == code and "limner: stopped by" in capsys.readouterr().err


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
            assert interruption.requested is None
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            assert interruption.requested == signal.SIGTERM
    finally:
        signal.signal(signal.SIGHUP, before)
