"""Files on a server that fails, cuts bodies short, or changes them, on the loopback interface."""

import io
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from limner.core.errors import DataError, MissingPartError
from limner.storage import tar_members
from limner.storage.file_contents import file_content
from limner.storage.remote_files import is_remote, list_remote
from limner.storage.remote_requests import UnreachableError, address_of, is_missing, is_taken

fsspec = pytest.importorskip("fsspec")

DRIVERS = ["loopback", *(["http"] if find_spec("aiohttp") else [])]


@pytest.fixture
def server(monkeypatch, tmp_path):
    from loopback_store import serving

    with serving(monkeypatch, tmp_path / "cache") as server:
        yield server


def path_of(server, driver, name):
    return Path(server.address(name, driver))


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_request_in_three_that_fails_is_repeated(server, driver):
    server.objects = {f"{n}.jpg": bytes([n]) * 1000 for n in range(12)}
    server.fails_every = 3
    for name, content in server.objects.items():
        assert file_content(path_of(server, driver, name)) == content


@pytest.mark.parametrize("driver", DRIVERS)
def test_bodies_that_are_cut_short_are_never_taken_for_the_file(server, driver):
    server.objects, server.cuts = {"a.jpg": bytes(1000)}, True
    with pytest.raises(UnreachableError, match=r"a\.jpg(.|\n)*attempt 6 of 6(.|\n)*same command again"):
        file_content(path_of(server, driver, "a.jpg"))


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_missing_file_is_an_error_of_that_image_at_once(server, driver):
    with pytest.raises(DataError, match=r"(?s)b\.jpg.*FileNotFoundError"):
        file_content(path_of(server, driver, "b.jpg"))
    assert server.count <= 2


def archive(content):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for number in range(5):
            header = tarfile.TarInfo(f"{number}.jpg")
            header.size = 2000
            tar.addfile(header, io.BytesIO(content * 2000))
    return file.getvalue()


@pytest.mark.parametrize("driver", DRIVERS)
def test_members_of_an_archive_are_read_there_until_it_changes(server, driver):
    server.objects, server.fails_every = {"a.tar": archive(b"a")}, 3
    path = path_of(server, driver, "a.tar")
    assert [file_content(path / f"{n}.jpg") for n in (3, 1)] == [b"a" * 2000] * 2
    found = tar_members.tar_members(path)
    server.fails_every, server.objects["a.tar"], server.versions["a.tar"] = 0, archive(b"b"), 2
    with pytest.raises(DataError, match=r"(?s)changed on the server.*a\.tar.*ETag"):
        found.read("2.jpg")


def test_an_address_survives_as_a_path():
    for address in ("s3://bucket/a/b.jpg", "https://host:80/a.tar/1.jpg", "gs://bucket/x.png"):
        assert address_of(Path(address)) == address_of(address) == address
    for path in ("/data/a.jpg", "a.jpg", "C:/a.jpg", "data:x.jpg"):
        assert address_of(path) is None


def test_a_file_on_disk_comes_before_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:" / "a.jpg").write_bytes(b"here")
    assert not is_remote(Path("s3:/a.jpg")) and file_content(Path("s3:/a.jpg")) == b"here"


def test_an_unknown_scheme_and_a_missing_driver_are_named(monkeypatch):
    with pytest.raises(DataError, match="(?s)nowhere://a/b.jpg.*scheme that fsspec has a driver for"):
        file_content(Path("nowhere://a/b.jpg"))
    if not find_spec("gcsfs"):
        with pytest.raises(MissingPartError, match="pip install gcsfs"):
            file_content(Path("gs://bucket/b.jpg"))


def test_folders_and_globs_are_listed():
    files = fsspec.filesystem("memory")
    for name in ("a/1.jpg", "a/b/2.jpg", "a/notes.md"):
        files.pipe_file(f"/limner-test/{name}", b"x")
    found = [f"memory://limner-test/a/{name}" for name in ("1.jpg", "b/2.jpg", "notes.md")]
    assert list_remote("memory://limner-test/a/") == found
    assert len(list_remote("memory://limner-test/a/*.jpg")) == 1
    assert list_remote("memory://limner-test/a/1.jpg") == ["memory://limner-test/a/1.jpg"]
    files.rm("/limner-test", recursive=True)


def test_a_file_that_grew_since_it_was_listed_is_read_as_it_is_now(server, monkeypatch):
    from loopback_store import Loopback

    listed = {}
    ask = Loopback.info

    def remembered(self, path, **options):
        return listed.setdefault(path, ask(self, path))

    monkeypatch.setattr(Loopback, "info", remembered)
    monkeypatch.setattr(Loopback, "invalidate_cache", lambda self, path=None: listed.clear())
    server.objects["a.jpg"] = b"old"
    path = path_of(server, "loopback", "a.jpg")
    assert file_content(path) == b"old"
    server.objects["a.jpg"] = b"newer"
    assert file_content(path) == b"newer"


class BotoError(Exception):
    """As botocore's ClientError, which s3fs keeps as the cause of its own."""

    def __init__(self, status):
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


@pytest.mark.parametrize(
    ("error", "cause", "missing", "taken"),
    [
        (FileNotFoundError(), None, True, False),
        (FileNotFoundError(), BotoError(404), True, False),
        (FileNotFoundError(), KeyError(), True, False),  # of the memory
        (FileNotFoundError(), BotoError(503), False, False),
        (FileNotFoundError(), ConnectionResetError(), False, False),  # of an HTTP server
        (FileExistsError(), BotoError(412), False, True),
        (BotoError(412), None, False, True),
        (OSError(5, "failing"), BotoError(500), False, False),
    ],
)
def test_errors_of_drivers_are_told_apart(error, cause, missing, taken):
    error.__cause__ = cause
    assert (is_missing(error), is_taken(error)) == (missing, taken)
