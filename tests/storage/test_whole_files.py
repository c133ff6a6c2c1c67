import csv
import json
import os

import pytest

from limner.core.errors import LimnerError, WriteError
from limner.storage import whole_files
from limner.storage.json_files import write_json
from limner.storage.whole_files import (
    GrowingFile,
    open_whole,
    remove_leftovers_of,
    write_whole,
    written_aside,
)


def test_folders_are_made_and_nothing_is_left_beside(tmp_path):
    write_json(tmp_path / "a" / "b.json", {"é": [1, None]})
    assert json.loads((tmp_path / "a" / "b.json").read_text("utf-8")) == {"é": [1, None]}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


def test_only_leftovers_of_killed_processes_are_removed(tmp_path):
    killed, running, other = (
        f".a.txt.{2**30}-1.part",
        f".a.txt.{os.getpid()}-1.part",
        f".b.txt.{2**30}-1.part",
    )
    for name in ("a.txt", killed, running, other, ".a.txt.mine.part"):
        (tmp_path / name).touch()
    remove_leftovers_of(tmp_path / "a.txt")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a.txt", running, other, ".a.txt.mine.part"}


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new", durable=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_text_is_utf8_and_line_ends_stay(tmp_path):
    write_whole(tmp_path / "a.txt", "é\n", durable=True)
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\n"


def test_the_error_names_the_file_and_can_be_fixed_by_a_user(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        WriteError, match=r"(?s)cannot be written: .*folder\n.*found: .*Is a directory"
    ) as caught:
        write_whole(tmp_path / "folder", b"")
    assert isinstance(caught.value, LimnerError)
    assert (caught.value.path, caught.value.strerror) == (tmp_path / "folder", "Is a directory")


def test_other_errors_stay_what_they_are_and_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="mine"), open_whole(tmp_path / "a") as file:
        file.write(b"half")
        raise ValueError("mine")
    with pytest.raises(KeyboardInterrupt), written_aside(tmp_path / "a") as aside:
        aside.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_growing_file_is_absent_until_it_is_whole(tmp_path):
    path = tmp_path / "new" / "rows.csv"
    with GrowingFile(path) as file:
        csv.writer(file).writerow(["a", "b, c"])
        assert not path.exists()
    assert path.read_bytes() == b'a,"b, c"\r\n'
    assert list(path.parent.iterdir()) == [path]


def test_a_growing_file_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="mine"), GrowingFile(path) as file:
        file.write("half")
        raise ValueError("mine")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_growing_file_on_a_full_disk_names_itself(tmp_path):
    file = GrowingFile(tmp_path / "rows.csv")
    file._file.close()
    try:
        file._file = open("/dev/full", "w")  # noqa: PTH123, SIM115 - the disk that is always full
    except OSError:
        pytest.skip("this system has no /dev/full")
    with pytest.raises(WriteError, match=r"(?s)rows\.csv.*no space left on the disk"), file:
        file.write("text")
    assert list(tmp_path.iterdir()) == []
