import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from limner.core.errors import ConfigError, DataError
from limner.storage import shard_ledger, work_claims
from limner.storage.folder_lock import this_process
from limner.storage.remote_folder import RemoteFolder
from limner.storage.shard_ledger import LEDGER, SUMMARY, open_ledger, read_summary
from limner.storage.shared_folder import DiskFolder
from limner.storage.unfinished import SHARED, UNFINISHED

ASKED = {"what": "numbers"}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def place(root):
    return DiskFolder(root) if isinstance(root, Path) else root


def begin(root, number=10, asked=ASKED, **named):
    rows = partial(map, lambda n: [f"image {n}", f"{n:04d}"], range(number))
    return open_ledger(place(root), asked, rows, by="predict", **named)


def work(ledger, *, most=10**9):
    """Write a file for each item of the shards that are free, and sum up when all are done."""
    while most and not ledger.is_finished:
        try:
            number = ledger.take()
            if number is None:
                if ledger.is_done and ledger.take_finish():
                    ledger.finish({"outputs": [line["item"] for line in ledger.lines()]})
                time.sleep(0.01)  # another process has the rest
                continue
            lines = []
            for path, output in ledger.rows(number):
                ledger.root.write(f"out/{output}", path)
                lines.append({"item": output, "files": [[f"out/{output}", len(path)]]})
                ledger.beat()
            ledger.commit(number, lines)
        except FileNotFoundError:
            if not ledger.is_finished:
                raise
        most -= 1


def test_all_items_are_done_in_the_order_of_the_index(tmp_path):
    one, two = begin(tmp_path, min_shards=4), begin(tmp_path)
    assert [one.head.items_of(n) for n in range(one.head.num_shards)] == [3, 3, 3, 1]
    first = one.take()
    work(two, most=3)  # shards 1 to 3 are finished before shard 0
    assert (first, two.take(), two.num_done) == (0, None, 7)
    one.release(first)
    work(two)
    assert read_summary(DiskFolder(tmp_path), ASKED, by="predict") == {
        "outputs": [f"{n:04d}" for n in range(10)]
    }
    assert names(tmp_path) == [SUMMARY, "out"]
    assert begin(tmp_path) is None  # a process that starts late
    assert read_summary(DiskFolder(tmp_path / "none"), ASKED, by="predict") is None


def test_shards_are_small_for_few_items_and_limited_for_many():
    heads = {n: shard_ledger.LedgerHead({}, "index", n, 1, ()) for n in (1, 3)}
    assert [heads[3].items_of(n) for n in range(3)] == [1, 1, 1]
    assert shard_ledger.shard_size(1) == shard_ledger.shard_size(256) == 1
    assert shard_ledger.shard_size(20_000) == 79
    assert shard_ledger.shard_size(1_000_000) == 256


def test_only_the_same_request_joins(tmp_path):
    begin(tmp_path)
    with pytest.raises(ConfigError, match="what numbers(.|\n)*what letters"):
        begin(tmp_path, asked={"what": "letters"})
    work(begin(tmp_path))
    with pytest.raises(ConfigError, match="what letters"):
        read_summary(DiskFolder(tmp_path), {"what": "letters"}, by="predict")


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match=r"mine\.txt in it"):
        begin(tmp_path)
    assert names(tmp_path) == ["mine.txt"]


def test_a_list_that_fails_leaves_nothing(tmp_path):
    def fail():
        yield "image", "output"
        raise DataError("no images")

    with pytest.raises(DataError, match="no images"):
        open_ledger(DiskFolder(tmp_path), ASKED, fail, by="predict")
    assert not names(tmp_path)


def test_the_folder_is_marked_until_all_is_there(tmp_path):
    ledger = begin(tmp_path)
    assert json.loads((tmp_path / UNFINISHED).read_text("utf-8"))["asked"] == ASKED | SHARED
    work(ledger)
    assert not (tmp_path / UNFINISHED).exists()


@pytest.mark.parametrize("damage", ["empty file", "missing file", "empty record"])
def test_what_a_power_cut_spoilt_is_done_again(tmp_path, damage):
    ledger = begin(tmp_path)
    work(ledger, most=10)
    assert ledger.take() is None and ledger.is_done
    {
        "empty file": lambda: (tmp_path / "out" / "0003").write_bytes(b""),
        "missing file": lambda: (tmp_path / "out" / "0003").unlink(),
        "empty record": lambda: (tmp_path / LEDGER / "done" / "000003.jsonl").write_bytes(b""),
    }[damage]()
    work(begin(tmp_path))
    assert len(read_summary(DiskFolder(tmp_path), ASKED, by="predict")["outputs"]) == 10
    assert (tmp_path / "out" / "0003").read_text() == "image 3"


def test_a_damaged_ledger_is_named(tmp_path):
    begin(tmp_path)
    (tmp_path / LEDGER / "ledger.json").write_text("{", "utf-8")
    with pytest.raises(DataError, match=r"ledger\.json"):
        begin(tmp_path)


def _work_until_killed(root):
    work(begin(root, 1200))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_twenty_kills_and_each_item_is_there_once(tmp_path, monkeypatch):
    # A kill may leave a claim that is still empty, for which the others would wait ten seconds.
    monkeypatch.setattr(work_claims, "EMPTY_SECONDS", 0.3)
    context, draw, kills = multiprocessing.get_context("fork"), random.Random(0), 0
    workers = []
    while not (tmp_path / SUMMARY).exists():
        workers = [one for one in workers if one.is_alive()]
        while len(workers) < 2:
            workers.append(context.Process(target=_work_until_killed, args=(tmp_path,)))
            workers[-1].start()
        time.sleep(draw.uniform(0.002, 0.012))
        if kills < 20:
            os.kill(draw.choice(workers).pid, signal.SIGKILL)
            kills += 1
    for one in workers:
        one.join()
    assert kills == 20
    summary = read_summary(DiskFolder(tmp_path), ASKED, by="predict")
    assert summary["outputs"] == [f"{n:04d}" for n in range(1200)]
    assert names(tmp_path / "out") == summary["outputs"]
    assert names(tmp_path) == [SUMMARY, "out"]


@pytest.fixture
def server(monkeypatch, tmp_path):
    pytest.importorskip("fsspec")
    from loopback_store import serving

    with serving(monkeypatch, tmp_path / "cache") as server:
        monkeypatch.setattr(RemoteFolder, "wait_seconds", 0.01)
        yield server


@pytest.fixture
def remote(server):
    return RemoteFolder(server.address("bucket/results"))


def test_two_processes_share_the_work_at_an_address_that_fails_every_third_time(server, remote):
    server.fails_every, server.loses_answer_every = 3, 4
    others = []

    def join():
        try:
            work(begin(RemoteFolder(remote.where), 24))
        except Exception as error:
            others.append(error)

    thread = threading.Thread(target=join)
    thread.start()
    ledger = begin(remote, 24)
    if ledger is not None:
        work(ledger)
    thread.join()
    assert not others
    server.fails_every = server.loses_answer_every = 0
    summary = read_summary(remote, ASKED, by="predict")
    assert summary["outputs"] == [f"{n:04d}" for n in range(24)]
    assert {name: data for name, data in server.objects.items() if "/out/" in name} == {
        f"bucket/results/out/{n:04d}": b"image %d" % n for n in range(24)
    }
    assert [name for name in server.objects if "/out/" not in name] == [f"bucket/results/{SUMMARY}"]
    assert begin(remote, 24) is None
    with pytest.raises(ConfigError, match=r"(?s)different.*loopback://.*bucket/results"):
        read_summary(remote, {"what": "letters"}, by="predict")


def test_a_killed_process_loses_the_shard_in_hand_also_at_an_address(server, remote):
    ledger = begin(remote, 3)
    work(ledger, most=1)
    claim = this_process("") | {"started": "long ago"}
    ledger.root.write(f"{LEDGER}/claims/000001.0", json.dumps(claim))
    assert json.loads(server.objects[f"bucket/results/{UNFINISHED}"])["asked"] == ASKED | SHARED
    work(begin(remote, 3))
    assert len(read_summary(remote, ASKED, by="predict")["outputs"]) == 3
    assert not [name for name in server.objects if LEDGER in name or UNFINISHED in name]


def test_an_address_with_other_files_is_refused(server, remote):
    server.objects["bucket/results/mine.txt"] = b""
    with pytest.raises(ConfigError, match=r"(?s)bucket/results.*mine\.txt in it"):
        begin(remote)


def test_a_process_whose_images_are_not_those_of_the_others_stops(tmp_path):
    """On stores that let two processes begin: the later ledger counts."""
    early = begin(tmp_path, 3)
    number = early.take()
    shutil.rmtree(tmp_path / LEDGER)
    (tmp_path / UNFINISHED).unlink()
    begin(tmp_path, 4)
    for late in (early.take, lambda: early.commit(number, [])):
        with pytest.raises(DataError, match=r"(?s)with other images.*4 images.*listed 3"):
            late()
