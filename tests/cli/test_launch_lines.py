"""Every line of the docs that starts several processes does so, on tiny data; `srun` is a stand-in."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

SETTINGS = {
    "network.name": "unet",
    "network.options.widths": [4, 6],
    "input.crop_size": [32, 32],
    "train.steps": 2,
    "train.batch_size": 4,
    "train.workers": 0,
    "train.trackers": [],
}
"""Of trainings that take a second; added to every line."""

SRUN = """#!{python}
import os, subprocess, sys
words = sys.argv[1:]
count = os.environ.get("TASKS", "2")
while words[0].startswith("-"):
    option = words.pop(0)
    if option == "--ntasks":
        count = words.pop(0)
tasks = []
for rank in range(int(count)):
    told = dict(SLURM_JOB_ID="{job}", SLURM_STEP_ID="0", SLURM_STEP_NUM_TASKS=count, SLURM_NTASKS=count,
                SLURM_STEP_NODELIST="127.0.0.1", SLURM_STEP_TASKS_PER_NODE=count, SLURM_PROCID=str(rank),
                SLURM_LOCALID=str(rank))
    tasks.append(subprocess.Popen(words, env=dict(os.environ, **told)))
sys.exit(max(task.wait() for task in tasks))
"""


def lines():
    """The lines of the docs that start several processes, as they are written."""
    launchers = "torchrun|accelerate launch|srun|limner train .*--devices"
    start = re.compile(rf"^(?: {{4}})?((?:{launchers}) .*)$", re.MULTILINE)
    found = [(page.name, line) for page in PAGES for line in start.findall(page.read_text("utf-8"))]
    assert len(found) >= 8, found
    return found


@pytest.fixture
def workplace(tmp_path, cells, monkeypatch):
    """A folder with DATA, which the lines name, and a search path with what they start."""
    place = tmp_path / "work"
    place.mkdir()
    (place / "DATA").symlink_to(cells, target_is_directory=True)
    programs = tmp_path / "bin"
    programs.mkdir()
    srun = programs / "srun"
    srun.write_text(SRUN.format(python=sys.executable, job=os.getpid()), "utf-8")
    srun.chmod(srun.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(place)
    return place


def smaller(line):
    """Write 2 for 8 devices, and this machine for HOST; of two machines each has one process."""
    if "--nnodes" in line:
        line = line.replace("--nproc-per-node 8", "--nproc-per-node 1").replace("HOST", "127.0.0.1")
    return re.sub(r"--(devices|nproc-per-node) 8", r"--\1 2", line)


@pytest.mark.long
@pytest.mark.parametrize(("page", "line"), lines())
def test_a_line_of_the_docs_trains_in_two_processes(workplace, page, line):
    added = [f"{key}={value}" for key, value in SETTINGS.items() if key not in line]
    command = " ".join([smaller(line), *(f"--set {shlex.quote(setting)}" for setting in added)])
    started = [
        subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2 if "--nnodes" in line else 1)
    ]
    printed = [process.communicate(timeout=600)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), "\n".join(printed)[-4000:]
    run = workplace / "runs" / "NAME"
    assert json.loads((run / "environment.json").read_text("utf-8"))["processes"] == 2
    assert (run / "report.html").is_file() and (run / "model" / "weights.safetensors").is_file()


@pytest.mark.long
def test_the_batch_script_trains_in_two_processes(workplace, monkeypatch):
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    script = re.search(r"```bash\n(#!/bin/bash\n.*?)```", page, re.DOTALL)[1]
    activate = workplace / "limner" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.touch()
    monkeypatch.setenv("HOME", str(workplace))
    small = "train.batch_size=4 --set train.steps=2 --set network.name=unet --set input.crop_size=[32,32]"
    small = script.replace("train.batch_size=128", small)
    done = subprocess.run(["bash", "-c", small], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    found = json.loads((workplace / "runs" / "NAME" / "environment.json").read_text("utf-8"))
    assert found["processes"] == 2


def test_the_job_of_kubernetes_starts_limner():
    from torch.distributed.run import parse_args

    text = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "scale.md").read_text("utf-8"), re.DOTALL)[1]
    service, job = yaml.safe_load_all(text)
    pod = job["spec"]["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"]["job-name"] == job["metadata"]["name"]
    program, *arguments = pod["containers"][0]["command"]
    parsed = parse_args(arguments)
    assert program == "torchrun" and parsed.module and parsed.training_script == "limner"
    assert parsed.training_script_args == ["train", "DATA", "--run", "NAME"]
    assert parsed.rdzv_endpoint == f"{job['metadata']['name']}-0.{pod['subdomain']}:29400"
    assert int(parsed.nnodes) == job["spec"]["completions"] == job["spec"]["parallelism"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes
