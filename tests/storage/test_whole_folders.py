import os
import subprocess
import sys

import pytest

from limner.core.errors import WriteError
from limner.storage.whole_folders import folder_written_aside


def test_a_folder_replaces_the_old_one_as_a_whole(tmp_path):
    folder = tmp_path / "new" / "model"
    for name in ("a", "b"):
        with folder_written_aside(folder) as aside:
            (aside / name).write_text(name)
            assert not (folder / "b").exists()
    assert [path.name for path in folder.iterdir()] == ["b"]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_text("old")
    with (
        pytest.raises(WriteError, match=r"(?s)model\n.*no space"),
        folder_written_aside(folder) as aside,
    ):
        (aside / "a").write_text("half")
        raise OSError(28, "No space left on device")
    assert (folder / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


KILLED = """
import os, signal, sys
from pathlib import Path
from limner.storage.whole_folders import folder_written_aside
with folder_written_aside(Path(sys.argv[1])) as aside:
    (aside / "a").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path):
    folder = tmp_path / "model [1]"
    assert subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False).returncode < 0
    (left,) = tmp_path.iterdir()
    own = tmp_path / f".{folder.name}.new.{os.getpid()}-other"
    own.mkdir()
    with folder_written_aside(folder) as aside:
        (aside / "a").write_text("whole")
        assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, own.name}
