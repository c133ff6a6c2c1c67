"""What the machine offers."""

import pytest

from limner.devices import machine
from limner.devices.machine import examine, host_memory, runs_on


def test_the_cpu_is_always_there():
    found = examine("cpu")
    assert found.is_cpu
    assert found.num_cores >= 1
    assert 0 < found.memory.available <= found.memory.total


def test_a_container_may_have_less_than_the_machine(monkeypatch):
    monkeypatch.setattr(machine, "available_bytes", lambda: 123)
    assert host_memory().available == 123


@pytest.mark.parametrize(
    ("capability", "archs", "expected"),
    [
        ((8, 6), ["sm_80", "sm_90"], True),  # binaries run on a higher minor of the same major
        ((8, 0), ["sm_86"], False),  # and not on a lower one
        ((12, 0), ["sm_80", "sm_90"], False),  # a new card on an old build
        ((12, 0), ["sm_80", "compute_90"], True),  # unless the build carries intermediate code
        ((6, 1), ["sm_75", "compute_75"], False),  # an old card on a new build
        ((9, 0), ["sm_90a"], True),
    ],
)
def test_which_builds_run_on_which_gpu(capability, archs, expected):
    assert runs_on(capability, archs) is expected
