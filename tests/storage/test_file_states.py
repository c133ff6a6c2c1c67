"""States of files: what was replaced with the same size and time is noticed on this machine."""

import os
import time
from pathlib import Path

from limner.storage.file_states import state_of


def test_a_file_replaced_with_the_same_size_and_time(tmp_path: Path) -> None:
    file, other = tmp_path / "a.npy", tmp_path / "b.npy"
    file.write_bytes(b"first")
    os.utime(file, ns=(10**18, 10**18))
    before = state_of([file]), state_of([file], here=True)
    time.sleep(0.02)  # longer than the tick of such times
    other.write_bytes(b"other")
    os.utime(other, ns=(10**18, 10**18))  # as from an archive in which all files have one time
    other.replace(file)
    assert state_of([file]) == before[0]
    assert state_of([file], here=True) != before[1]


def test_a_missing_file_has_a_state_too(tmp_path: Path) -> None:
    assert state_of([tmp_path / "a"], here=True) == state_of([tmp_path / "a"])
