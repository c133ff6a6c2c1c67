import multiprocessing
import signal
import time
from types import SimpleNamespace

import pytest

from limner.api import shared_trials
from limner.storage.shard_ledger import open_ledger
from limner.storage.shared_folder import DiskFolder


def test_a_claim_is_renewed_while_a_training_lasts(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_trials, "LOOK_SECONDS", 0.01)
    beats = []
    ledger = open_ledger(DiskFolder(tmp_path), {}, lambda: [["a"]], by="tune")
    monkeypatch.setattr(ledger, "beat", lambda: beats.append(1))
    monkeypatch.setattr(shared_trials, "open_ledger", lambda *_, **__: ledger)

    def train(row):
        while len(beats) < 3:
            time.sleep(0.01)
        return {"name": row[0]}

    found = shared_trials.run_trials(tmp_path, {}, [["a"]], train, by="tune", after=lambda own, known: None)
    assert found == [{"name": "a"}]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of Unix")
def test_a_helper_whose_command_is_killed_is_asked_to_save_and_end(monkeypatch):
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    ours, theirs = multiprocessing.Pipe(duplex=False)
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(sentinel=ours.fileno()))
    try:
        with shared_trials._ends_with_its_command():
            theirs.close()  # as at the end of the process that has it
            until = time.monotonic() + 5
            while not received and time.monotonic() < until:
                time.sleep(0.01)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]
