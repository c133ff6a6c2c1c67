import pytest

from limner.core.errors import TrainingError
from limner.devices.processes import first_host, is_restarted, join_slurm_step, wait_for

# What srun of SLURM 23.11 sets for the sixth of eight tasks on two hosts.
TASK = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS": "8",
}


def test_tasks_of_slurm_find_each_other():
    environment = dict(TASK)
    join_slurm_step(environment)
    found = {name: environment[name] for name in environment.keys() - TASK.keys()}
    assert found == {
        "RANK": "5",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "8",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "gpu03",
        "MASTER_PORT": str(20_000 + 31 * 4711 % 10_000),
    }
    other = {**TASK, "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    join_slurm_step(other)
    assert other["MASTER_PORT"] == environment["MASTER_PORT"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {**TASK, "SLURM_STEP_NUM_TASKS": "1"},  # srun of a single task, such as a shell
        {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "8", "SLURM_PROCID": "0"},  # the batch script itself
        {**TASK, "WORLD_SIZE": "16", "RANK": "9"},  # torchrun below srun
    ],
)
def test_other_processes_stay_as_they_are(environment):
    before = dict(environment)
    join_slurm_step(environment)
    assert environment == before


def test_an_address_that_the_user_chose_stays():
    environment = {**TASK, "MASTER_ADDR": "10.0.0.3", "MASTER_PORT": "29500"}
    join_slurm_step(environment)
    assert (environment["MASTER_ADDR"], environment["MASTER_PORT"]) == ("10.0.0.3", "29500")


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("node1", "node1"),
        ("a,b", "a"),
        ("gpu[01-03,7],big2", "gpu01"),
        ("gpu[12,14]", "gpu12"),
        ("rack[2-3]node[10-11]", "rack2node10"),
        ("c[1-2].site.org,d", "c1.site.org"),
    ],
)
def test_the_first_host_of_a_list(hosts, first):
    assert first_host(hosts) == first


def test_launchers_and_schedulers_tell_of_restarts(monkeypatch):
    for name in ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert not is_restarted()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")  # as torchrun sets it at first
    assert not is_restarted()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    assert is_restarted()


def test_a_file_that_never_comes_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"environment\.json(.|\n)*a disk that all processes share"):
        wait_for(tmp_path / "environment.json", seconds=0.0)
