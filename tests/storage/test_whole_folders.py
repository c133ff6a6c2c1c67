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
