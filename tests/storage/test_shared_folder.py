"""A folder on a disk, and those of two drivers of fsspec, answer the same."""

from uuid import uuid4

import pytest
from races import winners

from limner.storage.remote_folder import RemoteFolder
from limner.storage.remote_requests import UnreachableError
from limner.storage.shared_folder import DiskFolder, shared_folder

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def server(monkeypatch, tmp_path):
    from loopback_store import serving

    with serving(monkeypatch, tmp_path / "cache") as server:
        yield server


@pytest.fixture
def remote(server):
    return RemoteFolder(server.address("bucket/results/"))


@pytest.fixture(params=["disk", "memory", "loopback"])
def folder(request, tmp_path, server):
    if request.param == "disk":
        yield DiskFolder(tmp_path / "results")
        return
    if request.param == "loopback":
        yield RemoteFolder(server.address("bucket/results/"))
        return
    name = f"limner-{uuid4().hex}"
    yield RemoteFolder(f"memory://{name}/results")
    fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


def test_files_are_created_once_replaced_read_in_parts_and_removed(folder, tmp_path):
    folder.make()
    assert folder.names() == []
    assert folder.create("a.0", b"first") and not folder.create("a.0", b"second")
    inner = folder.below("inner")
    inner.make()
    inner.write("b.json", "ä")
    (tmp_path / "c").write_bytes(b"0123456789")
    folder.copy_in(tmp_path / "c", "deep/c.bin")
    assert sorted(folder.names()) == ["a.0", "deep", "inner"] and inner.names() == ["b.json"]
    assert (folder.read("a.0"), inner.read("b.json")) == (b"first", "ä".encode())
    assert folder.read("deep/c.bin", 3, 6) == b"345"
    assert (folder.size("deep/c.bin"), folder.size("none")) == (10, None)
    assert folder.has("a.0") and not folder.has("none") and not folder.has("inner")
    folder.write("a.0", b"third")
    assert folder.read("a.0") == b"third"
    folder.remove("a.0")
    folder.remove("a.0")
    folder.remove_folder("inner", first="b.json")
    folder.remove_folder("inner", first="b.json")
    assert folder.names() == ["deep"]
    for missing in (lambda: folder.read("a.0"), lambda: folder.life_of("a.0")):
        with pytest.raises(FileNotFoundError):
            missing()


def test_a_renewed_file_shows_it(folder):
    folder.make()
    folder.create("a.0", b"0 beats")
    before = folder.life_of("a.0")
    assert before == folder.life_of("a.0")
    folder.renew("a.0", b"1 beats")
    assert before[0] != folder.life_of("a.0")[0]


def test_what_a_user_names_is_on_a_disk_or_at_an_address(tmp_path):
    assert shared_folder(tmp_path / "results").where == tmp_path / "results"
    for named in ("s3://bucket/results/", "s3:/bucket/results"):
        assert shared_folder(named).where == "s3://bucket/results"


def test_one_of_many_that_create_a_file_at_the_same_time_succeeds(server, remote):
    server.fails_every, server.loses_answer_every = 7, 5
    wins = winners(8, lambda number: RemoteFolder(remote.where).create("a.0", b"%d" % number))
    assert len(wins) == 1 and remote.read("a.0") == b"%d" % wins[0]


def test_a_file_whose_answer_was_lost_is_created(server, remote):
    server.loses_answer_every = 1
    assert remote.create("a.0", b"mine")
    server.loses_answer_every = 0
    assert not remote.create("a.0", b"theirs")


def test_a_driver_that_ignores_the_condition_keeps_the_first_file(remote, monkeypatch):
    from loopback_store import Loopback

    plain = Loopback.pipe_file
    monkeypatch.setattr(Loopback, "pipe_file", lambda self, path, value, **options: plain(self, path, value))
    assert remote.create("a.0", b"first") and not remote.create("a.0", b"second")
    assert remote.read("a.0") == b"first"


def test_a_file_that_is_stored_by_half_is_stored_again(server, remote, tmp_path):
    (tmp_path / "c").write_bytes(bytes(1000))
    server.stores_half_every = 2
    for number in range(4):
        remote.copy_in(tmp_path / "c", f"{number}.png")
        remote.write(f"{number}.json", "x" * 100)
    assert [len(data) for data in server.objects.values()] == [1000, 100] * 4
    server.stores_half_every = 1
    with pytest.raises(UnreachableError, match=r"(?s)written to its server.*results/d\.png.*has 500 of 1000"):
        remote.copy_in(tmp_path / "c", "d.png")


def test_bodies_that_are_cut_short_are_never_taken_for_a_record(server, remote):
    remote.write("a.json", "x" * 100)
    server.cuts = True
    for read in (lambda: remote.read("a.json"), lambda: remote.read("a.json", 0, 50)):
        with pytest.raises(UnreachableError, match="attempt 6 of 6"):
            read()


def test_a_store_that_does_not_take_files_is_named_at_once(server, remote, monkeypatch):
    from loopback_store import Loopback

    server.is_read_only = True
    with pytest.raises(UnreachableError, match=r"(?s)cannot be written.*HTTP 403.*permission to write there"):
        remote.write("a.json", "{}")
    assert server.stored == 1

    def refuse(self, path, value, mode="overwrite", **options):  # as that of https, which only reads
        raise NotImplementedError

    monkeypatch.setattr(Loopback, "pipe_file", refuse)
    with pytest.raises(UnreachableError, match=r"(?s)NotImplementedError.*driver can write"):
        remote.create("a.json", b"{}")
