import pytest

from limner.core.errors import ConfigError, DataError
from limner.storage.filled_folder import Request, filled_folder, own_files
from limner.storage.unfinished import UNFINISHED, read_unfinished
from limner.storage.whole_files import write_whole

REQUEST = Request({"model": "a"})


def interrupt(folder, *, by, names, request=None):
    """Write files, each an item, and stop as Ctrl-C does."""
    with pytest.raises(KeyboardInterrupt), filled_folder(folder, by=by, request=request) as filled:
        for name in names:
            write_whole(folder / name, name)
            filled.add(name, {"name": name})
        raise KeyboardInterrupt


def test_finished_items_are_kept_and_their_entries_come_in_the_asked_order(tmp_path):
    interrupt(tmp_path, by="predict", names="ab", request=REQUEST)
    with filled_folder(tmp_path, by="predict", request=Request({"model": "a"}, resume=True)) as filled:
        assert filled.has("a") and filled.has("b") and not filled.has("c")
        write_whole(tmp_path / "c", "c")
        filled.add("c", None)
        assert [entry["name"] for entry in filled.entries("cba")] == ["b", "a"]
    assert not (tmp_path / UNFINISHED).exists()
    assert set(own_files(tmp_path, by="predict")) == {".limner-files.json", "a", "b", "c"}


def test_an_interrupted_request_is_never_started_over(tmp_path):
    interrupt(tmp_path, by="predict", names="a", request=REQUEST)
    for by, request in (
        ("predict", REQUEST),
        ("predict", Request({"model": "b"}, resume=True)),
        ("evaluate", None),
    ):
        with (
            pytest.raises(ConfigError, match="interrupted in this folder"),
            filled_folder(tmp_path, by=by, request=request),
        ):
            pass
    assert read_unfinished(tmp_path).num_items == 1


def test_an_interrupted_command_without_a_request_is_started_over(tmp_path):
    interrupt(tmp_path, by="evaluate", names="ab")
    interrupt(tmp_path, by="predict", names="cd", request=REQUEST)  # another command in the same folder
    with filled_folder(tmp_path, by="predict", request=Request({"model": "a"}, resume=True)) as filled:
        assert filled.has("c") and not filled.has("a")
    with filled_folder(tmp_path, by="evaluate"):  # its files are still its own
        write_whole(tmp_path / "a", "new")
        with pytest.raises(ConfigError, match="would replace"):
            write_whole(tmp_path / "c", "new")
    assert (tmp_path / "a").read_text() == "new"


def test_nothing_is_left_if_nothing_was_written(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with (
        pytest.raises(ConfigError, match="would replace"),
        filled_folder(tmp_path, by="x", files=[tmp_path / "mine"]),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]\n", '{"command": "predict"}\n', '{"command": 1, "asked": 2}\n']
)
def test_a_damaged_record_is_said(tmp_path, text):
    (tmp_path / UNFINISHED).write_text(text)
    with (
        pytest.raises(DataError, match="record of an interrupted command"),
        filled_folder(tmp_path, by="predict"),
    ):
        pass
