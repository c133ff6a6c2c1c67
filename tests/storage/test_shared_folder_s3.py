"""The folder of shared work in the S3 of moto on the loopback interface, through s3fs."""

from importlib.util import find_spec

import pytest
from races import winners

from limner.core.errors import DataError
from limner.storage import remote_requests
from limner.storage.file_contents import file_content
from limner.storage.remote_files import list_remote
from limner.storage.remote_folder import RemoteFolder
from limner.storage.remote_requests import UnreachableError
from limner.storage.shard_ledger import SUMMARY, open_ledger, read_summary
from limner.storage.shared_folder import shared_folder

pytestmark = [
    pytest.mark.skipif(not (find_spec("s3fs") and find_spec("moto")), reason="s3fs or moto is not installed"),
    pytest.mark.peer,
]


@pytest.fixture(scope="module")
def store():
    """Make buckets of a server with the rights of its owner."""
    import fsspec
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    before = dict(fsspec.config.conf)
    fsspec.config.conf["s3"] = {
        "key": "test",
        "secret": "test",
        "client_kwargs": {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"},
    }
    remote_requests._file_system.cache_clear()
    fsspec.filesystem("s3").call_s3("create_bucket", Bucket="limner")
    yield fsspec.filesystem("s3")
    fsspec.config.conf.clear()
    fsspec.config.conf.update(before)
    remote_requests._file_system.cache_clear()
    server.stop()


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(remote_requests, "WAITS_SECONDS", (0.0,) * 5)
    monkeypatch.setattr(RemoteFolder, "wait_seconds", 0.01)


def test_files_are_created_once_replaced_read_and_removed(store, tmp_path):
    folder = shared_folder("s3://limner/files/")
    assert folder.names() == [] and not folder.has("a.0")
    assert folder.create("a.0", b"first") and not folder.create("a.0", b"second")
    (tmp_path / "c").write_bytes(b"0123456789")
    folder.copy_in(tmp_path / "c", "deep/c.bin")
    assert sorted(folder.names()) == ["a.0", "deep"] and folder.below("deep").names() == ["c.bin"]
    assert (folder.read("a.0"), folder.read("deep/c.bin", 3, 6)) == (b"first", b"345")
    folder.renew("a.0", b"third")
    assert folder.life_of("a.0")[1] == b"third"
    folder.remove("a.0")
    folder.remove("a.0")
    with pytest.raises(FileNotFoundError):
        folder.read("a.0")
    folder.remove_folder("deep", first="none")
    assert folder.names() == []


def test_one_of_many_that_create_a_file_at_the_same_time_succeeds(store):
    wins = winners(6, lambda number: RemoteFolder("s3://limner/race").create("a.0", b"%d" % number))
    assert len(wins) == 1 and RemoteFolder("s3://limner/race").read("a.0") == b"%d" % wins[0]


def test_a_ledger_is_worked_off(store):
    place = shared_folder("s3://limner/work")
    ledger = open_ledger(place, {}, lambda: [["a", "1"], ["b", "2"]], by="predict")
    while (number := ledger.take()) is not None:
        ((name, output),) = ledger.rows(number)
        place.write(f"out/{output}", name)
        ledger.commit(number, [{"item": output}])
    assert ledger.is_done and ledger.take_finish()
    ledger.finish({"items": [line["item"] for line in ledger.lines()]})
    assert read_summary(place, {}, by="predict") == {"items": ["1", "2"]}
    assert sorted(place.names()) == [SUMMARY, "out"]
    assert file_content(shared_path("work/out/2")) == b"b"
    assert list_remote("s3://limner/work/out/") == ["s3://limner/work/out/1", "s3://limner/work/out/2"]


def test_what_is_missing_is_said_at_once(store):
    with pytest.raises(DataError, match=r"(?s)s3://limner/none\.jpg.*FileNotFoundError"):
        file_content(shared_path("none.jpg"))
    with pytest.raises(UnreachableError, match="written to its server: s3://no-such-bucket"):
        RemoteFolder("s3://no-such-bucket/a").write("b", b"c")


def shared_path(name):
    from pathlib import Path

    return Path(f"s3://limner/{name}")
