import pytest

from limner.devices import host


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine that says it has 1000 kB available, without a container."""
    monkeypatch.setattr(host, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(host, "CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 5000 kB\nMemFree: 10 kB\nMemAvailable: 1000 kB\n")
    return tmp_path


def test_the_machine_says(machine):
    assert host.available_bytes() == 1000 * 1024


def test_a_containers_limit_counts_without_the_files_it_read(machine):
    (machine / "memory.max").write_text("600000\n")
    (machine / "memory.current").write_text("500000\n")
    (machine / "memory.stat").write_text("anon 1\ninactive_file 300000\n")
    assert host.available_bytes() == 600000 - 500000 + 300000


def test_a_container_without_a_limit_counts_not(machine):
    (machine / "memory.max").write_text("max\n")
    (machine / "memory.current").write_text("500000\n")
    (machine / "memory.stat").write_text("inactive_file 300000\n")
    assert host.available_bytes() == 1000 * 1024


def test_a_container_of_the_first_version(machine):
    (machine / "memory").mkdir()
    (machine / "memory/memory.limit_in_bytes").write_text("700\n")
    (machine / "memory/memory.usage_in_bytes").write_text("900\n")
    (machine / "memory/memory.stat").write_text("cache 0\n")
    assert host.available_bytes() == 0


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_cpu_time_limits_its_cores(machine, monkeypatch, files, cores):
    for name, text in files.items():
        (machine / name).parent.mkdir(exist_ok=True)
        (machine / name).write_text(text)
    monkeypatch.setattr(host.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert host.core_quota() == cores
    assert host.num_cores() == (8 if cores is None else max(round(cores + 0.4), 1))


def test_a_system_that_says_nothing(machine, monkeypatch):
    (machine / "meminfo").unlink()

    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(host.os, "sysconf", unknown)
    assert host.available_bytes() == host.FALLBACK_BYTES


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {"SSH_CONNECTION": "a 1 b 2"}, False),
    ],
)
def test_where_a_window_could_be_seen(monkeypatch, platform, environment, expected):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert host.has_screen() is expected
