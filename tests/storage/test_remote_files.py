"""Files on a server that fails, cuts bodies short, or changes them, on the loopback interface."""

import io
import tarfile
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from limner.core.errors import DataError, MissingPartError
from limner.storage import remote_files, tar_members
from limner.storage.file_contents import file_content
from limner.storage.remote_files import UnreachableError, address_of, is_remote, list_remote

fsspec = pytest.importorskip("fsspec")

DRIVERS = ["loopback", *(["http"] if find_spec("aiohttp") else [])]


class Server(ThreadingHTTPServer):
    """Serves `objects`; each attribute is a way to fail."""

    daemon_threads = True
    fails_every = 0
    cuts = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects, self.versions, self.count = {}, {}, 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        server, name = self.server, self.path.lstrip("/")
        with server.lock:
            server.count += 1
            fails = server.fails_every and server.count % server.fails_every == 0
        if fails or name not in server.objects:
            self.send_response(503 if fails else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, wanted = server.objects[name], self.headers.get("Range")
        first, last = 0, len(data) - 1
        if wanted:
            start, _, stop = wanted.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(stop) if stop else last, last)
        body = data[first : last + 1]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{server.versions.get(name, 1)}"')
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        if with_body:
            self.wfile.write(body[: len(body) // 2] if server.cuts else body)
            self.close_connection = self.close_connection or server.cuts


class HTTPError(Exception):
    def __init__(self, status):
        super().__init__(f"HTTP {status}")
        self.status = status


class Loopback(fsspec.AbstractFileSystem):
    """A driver of a few lines over urllib, where aiohttp is not installed."""

    protocol = "loopback"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path):
        return path.removeprefix("loopback://")

    def _get(self, path, *, method="GET", headers=()):
        request = urllib.request.Request(f"http://{path}", method=method, headers=dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise FileNotFoundError(path) from None
            raise HTTPError(error.code) from None

    def info(self, path, **options):
        headers = self._get(path, method="HEAD")[1]
        return {"name": path, "size": int(headers["Content-Length"]), "type": "file", "ETag": headers["ETag"]}

    def cat_file(self, path, start=None, end=None, **options):
        ranged = () if start is None else [("Range", f"bytes={start}-{end - 1}")]
        return self._get(path, headers=ranged)[0]

    def _open(self, path, mode="rb", block_size=None, cache_options=None, **options):
        return Opened(self, path, mode, block_size=block_size, cache_type="readahead")


class Opened(fsspec.spec.AbstractBufferedFile):
    def _fetch_range(self, start, end):
        return self.fs.cat_file(self.path, start, end)


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMNER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote_files, "WAITS_SECONDS", (0.0,) * 5)
    fsspec.register_implementation("loopback", Loopback, clobber=True)
    remote_files._file_system.cache_clear()
    tar_members._members_in_state.cache_clear()
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def path_of(server, driver, name):
    return Path(f"{driver}://127.0.0.1:{server.server_port}/{name}")


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
