"""Predictions by tasks of a Ray cluster on this machine."""

import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

import limner
from limner.api import ray_work
from limner.core.errors import ConfigError, MissingPartError

needs_ray = pytest.mark.skipif(not find_spec("ray"), reason="ray is not installed")


def masks(folder):
    return {path.name: path.read_bytes() for path in (folder / "masks").iterdir()}


@pytest.fixture
def local_ray(monkeypatch):
    """A cluster of two cores, whose processes find limner."""
    import ray

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def processes_of_tasks():
    """The processes of tasks that run, among those that this one has started."""
    every = [one for one in psutil.Process().children(recursive=True) if one.is_running()]
    return [one.pid for one in every if "ray::_work" in " ".join(one.cmdline())]


@needs_ray
@pytest.mark.peer
def test_two_tasks_predict_what_one_process_predicts_and_one_may_be_killed(run, cells, tmp_path, local_ray):
    from limner.storage.shard_ledger import ShardLedger

    limner.predict(run.root, cells / "images", out=tmp_path / "alone", overlay=False, device="cpu")
    look, pids = ShardLedger.look, []

    def kill_one(ledger):
        look(ledger)
        if not pids and (found := processes_of_tasks()):
            os.kill(found[0], signal.SIGKILL)
            pids.append(found[0])

    options = {"overlay": False, "device": "cpu", "ray": "auto", "processes": 2}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ShardLedger, "look", kill_one)
        result = limner.predict(run.root, cells / "images", out=tmp_path / "out", **options)
    assert pids and (result.num_predicted, result.failures) == (6, ())
    assert masks(tmp_path / "out") == masks(tmp_path / "alone")
    with pytest.raises(ConfigError, match="--processes 3 needs as many cores .* has 2"):
        limner.predict(run.root, cells / "images", out=tmp_path / "more", **options | {"processes": 3})


@needs_ray
@pytest.mark.peer
def test_a_cluster_that_does_not_answer_is_named(run, cells, tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)Ray cluster does not answer: auto.*--ray local"):
        limner.predict(run.root, cells / "images", out=tmp_path / "out", device="cpu", ray="auto")


def test_without_ray_its_installation_is_named(run, cells, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_work, "find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match=r"--ray needs ray.*limner\[ray\]"):
        limner.predict(run.root, cells / "images", out=tmp_path / "out", ray="auto")
    assert not Path(tmp_path / "out").exists()
