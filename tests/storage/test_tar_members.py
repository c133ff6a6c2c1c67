"""Members at their positions, against Python's own reading of archives."""

import io
import tarfile
from hashlib import sha256

import numpy as np
import pytest

from limner.core.errors import DataError
from limner.storage import tar_members as module
from limner.storage.file_contents import file_content
from limner.storage.file_states import file_state
from limner.storage.tar_members import tar_members
from limner.storage.written_tars import write_tars

NAMES = ["0001.jpg", "0001.mask.png", "ünï/0002.jpg", f"{'long' * 60}/0003.jpg", "empty.txt"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    module._members_in_state.cache_clear()


def contents():
    draw = np.random.default_rng(0)
    sizes = [700, 512, 1300, 20, 0]
    return {name: draw.bytes(size) for name, size in zip(NAMES, sizes, strict=True)}


def write(path, members, kind=tarfile.PAX_FORMAT):
    with tarfile.open(path, "w", format=kind) as archive:
        folder = tarfile.TarInfo("a folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_each_member_is_read_in_any_order(tmp_path, kind):
    path = write(tmp_path / "a.tar", contents().items(), kind)
    found = tar_members(path)
    assert list(found) == NAMES and not found.damage
    for name in reversed(NAMES):
        assert file_content(path / name) == contents()[name]
    with pytest.raises(DataError, match=r"no such member: .*a\.tar\n.*no 1\.jpg among 5"):
        file_content(path / "1.jpg")


def test_the_positions_are_kept_until_the_archive_changes(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tar", contents().items())
    first, listed = tar_members(path), []
    real = module._listed
    monkeypatch.setattr(
        module, "_listed", lambda *args, **options: listed.append(args) or real(*args, **options)
    )
    module._members_in_state.cache_clear()  # as in another process
    again = tar_members(path)
    assert again.names == first.names
    assert [again.place_of(name) for name in NAMES] == [first.place_of(name) for name in NAMES]
    assert not listed
    write(path, [("new.jpg", b"new")])
    assert list(tar_members(path)) == ["new.jpg"] and len(listed) == 1
    assert file_content(path / "new.jpg") == b"new"


def test_of_two_members_of_one_name_the_last_counts_as_everywhere(tmp_path):
    path = write(tmp_path / "a.tar", [("1.jpg", b"old"), ("1.jpg", b"new")])
    with tarfile.open(path) as archive:
        assert file_content(path / "1.jpg") == archive.extractfile("1.jpg").read() == b"new"


def test_an_archive_that_is_cut_off_keeps_what_is_before(tmp_path):
    path = write(tmp_path / "a.tar", contents().items())
    places = [tar_members(path).place_of(name) for name in NAMES]
    whole = path.read_bytes()
    for number, (start, size) in enumerate(places[:4]):
        path.write_bytes(whole[: start + size // 2])
        found = tar_members(path)
        assert list(found) == NAMES[:number]
        assert found.damage == f"it ends at byte {start + size // 2}, inside {NAMES[number]}"
        with pytest.raises(DataError, match=r"is damaged: .*a\.tar\n.*inside"):
            found.read(NAMES[number])
    path.write_bytes(whole[: places[-1][0]])
    assert tar_members(path).damage == "its end is missing, after empty.txt"


def test_a_damaged_header_is_named_rather_than_taken_for_the_end(tmp_path):
    path = write(tmp_path / "a.tar", contents().items())
    data = bytearray(path.read_bytes())
    data[tar_members(path).place_of(NAMES[1])[0] - 400] ^= 255  # in the header of the second member
    path.write_bytes(data)
    found = tar_members(path)
    assert list(found) == NAMES[:1]
    assert found.damage.startswith("a header is damaged") and found.damage.endswith("after 0001.jpg")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08" + bytes(600), b"words" * 300])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"no tar archive(.|\n)*a\.tar"):
        tar_members(path)


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read: .*a\.tar"):
        file_content(tmp_path / "a.tar" / "1.jpg")


def test_a_folder_may_be_named_like_an_archive(tmp_path):
    (tmp_path / "a.tar").mkdir()
    (tmp_path / "a.tar" / "1.jpg").write_bytes(b"own file")
    assert file_content(tmp_path / "a.tar" / "1.jpg") == b"own file"


def test_a_folder_named_like_an_archive_may_come_later(tmp_path):
    path = tmp_path / "a.tar" / "1.png"  # such as a mask of an image in an archive
    assert file_state(path) is None
    path.parent.mkdir()
    path.write_bytes(b"own file")
    assert file_state(path) == (8, path.stat().st_mtime_ns)


def test_written_archives_keep_groups_together_and_are_the_same_each_time(tmp_path):
    groups = [[(f"{n}.jpg", bytes(900)), (f"{n}.cls", b"1")] for n in range(60)]
    first = list(write_tars(tmp_path / "a", "train", groups, most_bytes=30_000))
    assert first == list(write_tars(tmp_path / "b", "train", iter(groups), most_bytes=30_000))
    assert [name for name, _ in first] == [f"train-{n:06d}.tar" for n in range(len(first))] and len(first) > 2
    found = []
    for name, digest in first:
        assert sha256((tmp_path / "a" / name).read_bytes()).hexdigest() == digest
        with tarfile.open(tmp_path / "a" / name) as archive:
            names = archive.getnames()
        assert len(names) % 2 == 0
        found += names
    assert found == [name for group in groups for name, _ in group]


def test_names_are_inside_the_archive(tmp_path):
    path = write(tmp_path / "a.tar", [("./1.jpg", b"1"), ("/data//2.jpg", b"2")])
    assert list(tar_members(path)) == ["1.jpg", "data/2.jpg"]
    write(path, [("1.jpg", b"1"), ("../../2.jpg", b"2"), ("3.jpg", b"3")])
    found = tar_members(path)
    assert list(found) == ["1.jpg"]
    assert found.damage == "a member has the name '../../2.jpg', which cannot be used, after 1.jpg"


def test_a_member_that_the_disk_gives_in_parts_is_read_whole(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tar", contents().items())
    members = tar_members(path)

    class InParts(io.FileIO):
        def read(self, size=-1):
            return super().read(min(size, 100))

    monkeypatch.setattr(module, "open", lambda path, mode, buffering: InParts(path, mode), raising=False)
    assert members.read("0001.jpg") == contents()["0001.jpg"]
