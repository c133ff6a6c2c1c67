"""Other programs come and go on a fake clock; the number of threads follows what they leave."""

import psutil
import pytest
import torch

from limner.devices.threads import CoreUse, ThreadCount


class Cores:
    """A machine on which this process uses `own` cores and the others use `others`."""

    def __init__(self):
        self.seconds, self.busy, self.mine = 100.0, 50.0, 10.0

    def run(self, seconds, *, own, others):
        self.seconds += seconds
        self.busy += seconds * (own + others)
        self.mine += seconds * own

    def cpu(self):
        return self.busy, self.mine


@pytest.fixture
def cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr("limner.devices.threads.num_cores", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield Cores()
    torch.set_num_threads(before)


def follow(threads, cores, *, windows, **use):
    for _ in range(windows):
        cores.run(3.1, **use)
        threads.follow()
    return torch.get_num_threads()


def test_threads_leave_the_cores_of_others_and_come_back(cores):
    threads = ThreadCount(CoreUse(cpu=cores.cpu, clock=lambda: cores.seconds))
    assert follow(threads, cores, windows=3, own=3.8, others=0.1) == 4
    assert follow(threads, cores, windows=3, own=2.5, others=1.2) == 3
    assert "about 1.2 of 4 cores: computing with 3 threads instead of 4" in threads.said()
    assert follow(threads, cores, windows=3, own=1.0, others=6.0) == 1
    assert follow(threads, cores, windows=3, own=1.0, others=0.2) == 4
    assert threads.said() == "The cores are free again: computing with 4 threads."


def test_a_moment_changes_nothing(cores):
    threads = ThreadCount(CoreUse(cpu=cores.cpu, clock=lambda: cores.seconds))
    for _ in range(4):
        assert follow(threads, cores, windows=1, own=1.0, others=3.0) == 4
        assert follow(threads, cores, windows=1, own=4.0, others=0.0) == 4


def test_a_number_that_the_user_chose_stays(cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    threads = ThreadCount(CoreUse(cpu=cores.cpu, clock=lambda: cores.seconds))
    assert follow(threads, cores, windows=3, own=1.0, others=3.0) == 4


def test_cores_that_a_container_withholds_get_no_threads(cores, monkeypatch):
    monkeypatch.setattr("limner.devices.threads.num_cores", lambda: 2)
    ThreadCount(CoreUse(cpu=cores.cpu, clock=lambda: cores.seconds))
    assert torch.get_num_threads() == 2
