"""The server as a process: it starts, refuses, and stops as it should."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

import limner
from limner.core.errors import ConfigError, ModelError

COMMAND = [sys.executable, "-m", "limner", "serve"]


@pytest.fixture
def start(model_folder):
    """Starts the server with options; returns the process and its URL."""
    started = []

    def run(*options):
        process = subprocess.Popen(  # noqa: S603
            [*COMMAND, str(model_folder), "--port", "0", "--device", "cpu", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        line = process.stdout.readline()
        found = re.search(r"http://[\d.]+:\d+", line)
        assert found, (line, process.stderr.read() if process.poll() is not None else "")
        return process, found[0]

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def refused(command_line):
    """Start the server with options that it refuses; returns its exit code and what it says."""

    def run(*options, model="no-such-model"):
        done = command_line("serve", model, *options)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    return run


def test_a_signal_ends_the_server_after_what_runs(start, png):
    process, url = start()
    assert httpx.get(f"{url}/health").json()["status"] == "ok"
    large = png(np.zeros((2000, 2000, 3), np.uint8))
    answers = []
    sending = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{url}/predict", files={"images": large}, timeout=60))
    )
    sending.start()
    until = time.monotonic() + 20
    while "limner_accepted_requests 1" not in httpx.get(f"{url}/metrics").text:
        assert time.monotonic() < until and not answers
    process.send_signal(signal.SIGTERM)
    sending.join(60)
    assert answers[0].status_code == 200 and answers[0].json()["images"][0]["size"] == [2000, 2000]
    assert process.wait(20) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_clients_that_still_send_get_the_answer(start):
    _, url = start("--max-mb", "1")
    large = bytes(30_000_000)  # more than the buffers of the connection hold
    for headers in ({}, {"Origin": "http://evil.example"}):
        answer = httpx.post(f"{url}/predict", files={"images": large}, headers=headers, timeout=60)
        assert answer.status_code == (403 if headers else 413) and answer.json()["fix"]
    parts = (large[:65536] for _ in range(500))  # without a stated length
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    assert httpx.post(f"{url}/predict", content=parts, headers=form, timeout=60).status_code in (400, 413)


def test_a_port_in_use_is_said(refused, model_folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = refused("--port", str(taken.getsockname()[1]), model=str(model_folder))
    assert code == 2 and "The port is in use" in said and "--port 0" in said


def test_other_machines_need_a_token(refused, tmp_path):
    code, said = refused("--host", "0.0.0.0")  # noqa: S104
    assert code == 2 and "without a token" in said and "--token-file" in said
    code, said = refused("--host", "0.0.0.0", "--token", "short")  # noqa: S104
    assert code == 2 and "too short: 5 characters" in said
    code, said = refused("--token-file", str(tmp_path / "missing"))
    assert code == 2 and "The token cannot be read" in said


def test_a_wrong_host_model_or_limit_is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot listen"):
        limner.serve(tmp_path, host="192.0.2.1", token="a-long-random-token")  # of no machine (RFC 5737)
    with pytest.raises(ModelError, match="There is no such model"):
        limner.serve(tmp_path / "missing", port=0)
    with pytest.raises(ConfigError, match="timeout"):
        limner.serve(tmp_path, timeout=0)
    with pytest.raises(ConfigError, match="no model was named"):
        limner.serve([], port=0)


def test_several_workers_share_one_port(start, photo, png):
    process, url = start("--workers", "2")
    answers = []

    def ask():
        with httpx.Client(timeout=60) as client:
            answers.append(client.post(f"{url}/predict", files={"images": png(photo)}).json()["images"][0])

    asking = [threading.Thread(target=ask) for _ in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len({str(answer["classes"]) for answer in answers}) == 1 and len(answers) == 8
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_a_worker_that_ends_stops_the_server(start):
    process, _ = start("--workers", "2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(int(workers[0]), signal.SIGKILL)
    assert process.wait(30) == 2
    assert "A worker of the server ended, with exit code -9" in process.stderr.read()


def test_workers_are_refused_with_the_reason(refused, model_folder, tmp_path):
    code, said = refused("--workers", "2", "--port", "0")
    assert code == 2 and "There is no such model" in said
    code, said = refused("--workers", "2", "--keep", str(tmp_path / "kept"), model=str(model_folder))
    assert code == 2 and "--keep without --workers" in said
