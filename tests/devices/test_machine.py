"""What the machine offers."""

from limner.devices import machine
from limner.devices.machine import examine, host_memory


def test_the_cpu_is_always_there():
    found = examine("cpu")
    assert found.is_cpu
    assert found.num_cores >= 1
    assert 0 < found.memory.available <= found.memory.total


def test_a_container_may_have_less_than_the_machine(monkeypatch):
    monkeypatch.setattr(machine, "available_bytes", lambda: 123)
    assert host_memory().available == 123
