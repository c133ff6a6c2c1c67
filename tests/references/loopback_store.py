"""A store of objects on the loopback interface that fails as real ones do, and a driver of fsspec for it."""

import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import fsspec

from limner.storage import remote_requests, tar_members

CLIENT = "X-Client"
"""Header in which the driver names the thread that asks."""


class Server(ThreadingHTTPServer):
    """Serves and stores `objects`; each of the other attributes is a way to fail.

    Attributes:
        objects: Name -> content.
        versions: Name -> version, which is the ETag.
        count: Number of requests so far.
        stored: Number of times that an object was stored.
        fails_every: Every request of this number, counted for each thread that asks, is answered with 503
            before anything is done.
        loses_answer_every: Every request of this number to store is answered with 503 after it is done.
        cuts: Whether half of a body is sent.
        stores_half_every: Every request of this number to store keeps half of the body.
        is_read_only: Whether requests to store are answered with 403.
    """

    daemon_threads = True
    fails_every = loses_answer_every = stores_half_every = 0
    cuts = is_read_only = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects, self.versions, self.count, self.stored = {}, {}, 0, 0
        self.counts = Counter()
        self.lock = threading.Lock()

    def address(self, name, driver="loopback"):
        return f"{driver}://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_HEAD(self):
        self.serve(with_body=False)

    def do_GET(self):
        self.serve(with_body=True)

    def do_PUT(self):
        server, name = self.server, unquote(self.path.lstrip("/"))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.fails():
            return
        with server.lock:
            server.stored += 1
            number = server.stored
            if server.is_read_only or (self.headers.get("If-None-Match") == "*" and name in server.objects):
                self.answer(403 if server.is_read_only else 412)
                return
            is_half = server.stores_half_every and number % server.stores_half_every == 0
            server.objects[name] = body[: len(body) // 2] if is_half else body
            server.versions[name] = server.versions.get(name, 0) + 1
        is_lost = server.loses_answer_every and number % server.loses_answer_every == 0
        self.answer(503 if is_lost else 200)

    def do_DELETE(self):
        if not self.fails():
            self.server.objects.pop(unquote(self.path.lstrip("/")), None)
            self.answer(204)

    def serve(self, *, with_body):
        server, name = self.server, unquote(self.path.lstrip("/"))
        if self.fails():
            return
        if name.startswith("?list="):
            with server.lock:
                found = {one: len(data) for one, data in server.objects.items() if one.startswith(name[6:])}
            self.answer(200, json.dumps(found).encode())
        elif name not in server.objects:
            self.answer(404)
        else:
            self.serve_object(name, with_body=with_body)

    def serve_object(self, name, *, with_body):
        server, wanted = self.server, self.headers.get("Range")
        data = server.objects[name]
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

    def fails(self):
        server = self.server
        with server.lock:
            server.count += 1
            # Of one count for all, two threads that take turns could leave one of them every third request.
            client = self.headers.get(CLIENT)
            server.counts[client] += 1
            fails = server.fails_every and server.counts[client] % server.fails_every == 0
        if fails:
            self.answer(503)
        return fails

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


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
        return path.removeprefix("loopback://").rstrip("/")

    def _ask(self, path, *, method="GET", headers=(), data=None):
        host, _, name = path.partition("/")
        address = f"http://{host}/{name if name.startswith('?') else quote(name)}"
        headers = {CLIENT: str(threading.get_ident()), **dict(headers)}
        request = urllib.request.Request(address, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise FileNotFoundError(path) from None
            raise HTTPError(error.code) from None

    def info(self, path, **options):
        headers = self._ask(path, method="HEAD")[1]
        return {"name": path, "size": int(headers["Content-Length"]), "type": "file", "ETag": headers["ETag"]}

    def ls(self, path, detail=True, **options):
        host, _, folder = path.strip("/").partition("/")
        start = f"{folder}/" if folder else ""
        found = json.loads(self._ask(f"{host}/?list={quote(start)}")[0])
        rows = {}
        for name, size in found.items():
            first, slash, _ = name[len(start) :].partition("/")
            kind, size = ("directory", 0) if slash else ("file", size)
            rows[first] = {"name": f"{host}/{start}{first}", "size": size, "type": kind}
        if not rows:
            raise FileNotFoundError(path)
        return list(rows.values()) if detail else [row["name"] for row in rows.values()]

    def cat_file(self, path, start=None, end=None, **options):
        ranged = () if start is None else [("Range", f"bytes={start}-{end - 1}")]
        return self._ask(path, headers=ranged)[0]

    def pipe_file(self, path, value, mode="overwrite", **options):
        headers = [("If-None-Match", "*")] if mode == "create" else ()
        self._ask(path, method="PUT", headers=headers, data=bytes(value))

    def put_file(self, lpath, rpath, **options):
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def _rm(self, path):
        self._ask(path, method="DELETE")

    def _open(self, path, mode="rb", block_size=None, cache_options=None, **options):
        return Opened(self, path, mode, block_size=block_size, cache_type="readahead")


class Opened(fsspec.spec.AbstractBufferedFile):
    def _fetch_range(self, start, end):
        return self.fs.cat_file(self.path, start, end)


@contextmanager
def serving(monkeypatch, cache):
    """Serve nothing yet, without pauses between attempts, and with an own cache of positions in archives."""
    monkeypatch.setenv("LIMNER_CACHE", str(cache))
    monkeypatch.setattr(remote_requests, "WAITS_SECONDS", (0.0,) * 5)
    fsspec.register_implementation("loopback", Loopback, clobber=True)
    remote_requests._file_system.cache_clear()
    tar_members._members_in_state.cache_clear()
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
