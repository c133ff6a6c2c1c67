"""Damaged files and wrong options, by a seed each: the answer is a result, findings, or an error of limner's.

`batch` makes many attempts in one process. Anything else than such an answer is a fault: another exception, a
crash, more than `MOST_SECONDS` or `MOST_MEGABYTES`, or a changed input.
"""

import importlib.util
import os
import pickle
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import torch
import typer.main
from safetensors.torch import load_file

from limner.cli.app import app

MOST_SECONDS, MOST_MEGABYTES = 30, 2048
PROGRESS = "progress.txt"
"""File in the folder of a batch with the seed of the current attempt, for when the process ends with it."""

Draw = np.random.Generator
Attempt = Callable[[Path, Draw, list[str]], None]
"""Makes one attempt in an empty folder, and notes in the list what it is."""

TESTS = Path(__file__).parents[1]


def _module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, TESTS / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutations, spoilt = _module("formats/mutations.py"), _module("formats/spoilt_folders.py")
command, write_tree = _module("contracts/bad_input/conftest.py").command, _module("conftest.py").write_tree


class OverTimeError(BaseException):
    """An attempt takes too long; no `Exception`, so that nothing catches it."""


def batch(folder: Path, kind: str, given: str, first: int, count: int, seconds: float) -> dict[str, Any]:
    """Make attempts of a kind with the seeds from `first` on, until their count or the time is over.

    Returns:
        ``made``: how many; ``faults``: for each fault, the seed, what was attempted, and what happened.
    """
    signal.signal(signal.SIGALRM, _stop)
    os.environ["HOME"] = str(folder)
    attempt = ATTEMPTS[kind](Path(given))
    faults: list[tuple[int, str, str]] = []
    end = time.monotonic() + seconds
    made = 0
    for seed in range(first, first + count):
        (folder / PROGRESS).write_text(str(seed), "ascii")
        fault = _fault(attempt, folder, seed)
        made += 1
        if fault is not None:
            faults.append((seed, *fault))
        if time.monotonic() > end or (fault and fault[1].startswith("memory")):
            break
    return {"made": made, "faults": faults}


def _fault(attempt: Attempt, folder: Path, seed: int) -> tuple[str, str] | None:
    place = folder / "attempt"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    attempted: list[str] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.alarm(MOST_SECONDS)
    try:
        attempt(place, np.random.default_rng(seed), attempted)
    except OverTimeError:
        return " ".join(attempted), f"time: {''.join(traceback.format_exc()[-1500:])}"
    except BaseException:
        return " ".join(attempted), traceback.format_exc()[-2500:]
    finally:
        signal.alarm(0)
        os.chdir(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if peak > before and peak > MOST_MEGABYTES * 1024:
        return " ".join(attempted), f"memory: {peak / 1024:.0f} MB"
    return None


def _stop(number: int, frame: FrameType | None) -> None:
    raise OverTimeError


def _damaged(path: Path, draw: Draw) -> str:
    """Damage a file in one way, and say how."""
    good = path.read_bytes()
    ways = _ways(path.name, good) if path.suffix in spoilt.SPOILT and draw.integers(2) else ()
    if ways:
        wrong, data = ways[int(draw.integers(len(ways)))]
    else:
        wrong, data = "bytes changed", mutations.mutated(good, draw)
    path.write_bytes(data)
    return f"{path.name}: {wrong}"


@cache
def _ways(name: str, good: bytes) -> Sequence[tuple[str, bytes]]:
    """Return the file with each thing wrong, fewer for a plan with hundreds of values."""
    return tuple(mutations.mutations(name, good, share=1 if len(good) < 2000 else 12))


def _formats(given: Path) -> Attempt:
    def attempt(folder: Path, draw: Draw, attempted: list[str]) -> None:
        name = spoilt.BUILT[int(draw.integers(len(spoilt.BUILT)))]
        every = spoilt.folders_of(name)
        files = every[int(draw.integers(len(every)))]
        root = write_tree(folder, {file: content for file, content in files.items() if content is not None})
        spoils = spoilt.annotations(files, {}) or list(files)
        attempted += [name, _damaged(root / spoils[int(draw.integers(len(spoils)))], draw)]
        spoilt.read_all(root, name, is_known=bool(draw.integers(3)))

    return attempt


DEVICE = "--device cpu"
DATA_COMMANDS = (
    *("check data", "check data --json", "stats data", "plan data", "convert data out --to voc --lossy"),
    *("convert data out --to coco-instances --lossy --mend", "split data --out out"),
    *("split data --dry-run --stratify", "browse data --out out/a.png"),
    *("browse data --by class --out out/a.png", "check data --report out/a.html"),
)
RUN_COMMANDS = (
    *("report runs/run", f"evaluate runs/run {DEVICE}", f"evaluate runs/run --split test --out out {DEVICE}"),
    *(f"train --resume runs/run {DEVICE}", f"train --resume runs/run --data-changed {DEVICE}"),
    *("compare runs/run runs/other --out out", "plan runs/run/plan.yaml", "measure runs/run --size 32"),
    f"predict runs/run data/images --out out {DEVICE}",
    "browse runs/run/plan.yaml --augment --out out/a.png",
    f"explain runs/run data/images/cell_03.png --class cell --out out {DEVICE}",
)
MODEL_COMMANDS = (
    *(f"predict runs/run/model data/images --out out {DEVICE}", "measure runs/run/model --size 32"),
    *(f"evaluate runs/run/model --data data --out out {DEVICE}", "plan data --weights runs/run/model"),
    "import runs/run/model --out out --task semantic",
)
TASKS = ("classification", "detection", "text-detection", "volumes")
TASK_COMMANDS = (  # not `plan data`: it times default networks, which takes as long on a busy machine
    *(
        "check data",
        "check data --report out/a.html",
        "stats data",
        "plan data",
        "browse data --out out/a.png",
    ),
    *("split data --out out", f"evaluate run {DEVICE}", f"evaluate run --split test --out out {DEVICE}"),
    *(f"predict run data --out out {DEVICE}", f"evaluate run/model --data data --out out {DEVICE}"),
    *(f"train --resume run {DEVICE}", "report run", "convert data out --to coco-instances --lossy"),
)
CHECKPOINT_COMMANDS = (
    *("import checkpoint --out out --task semantic", "plan data --weights checkpoint"),
    f"predict checkpoint data/images --out out {DEVICE}",
)


def _copy(given: Path, folder: Path) -> None:
    """Copy the data and the runs, whose plans name the data that they were copied from."""
    shutil.copytree(given / "data", folder / "data")
    for name in ("run", "other"):
        shutil.copytree(given / name, folder / "runs" / name)


def _on_files(where: str, commands: Sequence[str]) -> Callable[[Path], Attempt]:
    """Damage one to three files below a folder, and run a command."""

    def bound(given: Path) -> Attempt:
        def attempt(folder: Path, draw: Draw, attempted: list[str]) -> None:
            _copy(given, folder)
            files = sorted(path for path in (folder / where).rglob("*") if path.is_file())
            for number in draw.choice(len(files), draw.integers(1, min(4, len(files) + 1)), replace=False):
                attempted.append(_damaged(files[number], draw))
            _run(folder, commands[int(draw.integers(len(commands)))].split(), attempted)

        return attempt

    return bound


def _on_tasks(given: Path) -> Attempt:
    """Damage the data or the run of another task than label maps, and run a command."""

    def attempt(folder: Path, draw: Draw, attempted: list[str]) -> None:
        task = TASKS[int(draw.integers(len(TASKS)))]
        shutil.copytree(given / task, folder, dirs_exist_ok=True)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        attempted += [task, _damaged(files[int(draw.integers(len(files)))], draw)]
        _run(folder, TASK_COMMANDS[int(draw.integers(len(TASK_COMMANDS)))].split(), attempted)

    return attempt


def _run(folder: Path, words: Sequence[str], attempted: list[str]) -> None:
    attempted.append(f"limner {' '.join(words)}"[:300])
    answer = command(*words, cwd=folder)
    assert answer.code in (0, 1, 2), answer


def _checkpoints(given: Path) -> Attempt:
    """Damage checkpoints of other programs, in each of the containers that are read."""
    tensors = load_file(given / "run/model/weights.safetensors")
    kinds = {
        "checkpoint.pth": lambda path: torch.save({"state_dict": tensors, "epoch": 3}, path),
        "checkpoint.pkl": lambda path: path.write_bytes(
            pickle.dumps({"model": {name: value.numpy() for name, value in tensors.items()}})
        ),
        "checkpoint.safetensors": lambda path: shutil.copy(given / "run/model/weights.safetensors", path),
        "last.safetensors": lambda path: shutil.copy(given / "run/checkpoints/last.safetensors", path),
    }

    def attempt(folder: Path, draw: Draw, attempted: list[str]) -> None:
        name = list(kinds)[int(draw.integers(len(kinds)))]
        shutil.copytree(given / "data", folder / "data")
        kinds[name](folder / name)
        attempted.append(_damaged(folder / name, draw))
        chosen = CHECKPOINT_COMMANDS[int(draw.integers(len(CHECKPOINT_COMMANDS)))]
        _run(folder, [name if word == "checkpoint" else word for word in chosen.split()], attempted)

    return attempt


GOOD = {
    "check": "data",
    "browse": "data --out out/a.png",
    "stats": "data",
    "split": "data --out out",
    "convert": "data out --to voc --lossy",
    "plan": "data",
    "train": f"data --run out {DEVICE} --set train.steps=2 --set train.trackers=[] --set network.name=unet "
    "--set network.options.widths=[4,6] --set input.crop_size=[32,32]",
    "evaluate": f"runs/run --split test --out out {DEVICE}",
    "predict": f"runs/run data/images --out out {DEVICE}",
    "report": "runs/run",
    "compare": "runs/run runs/other --out out",
    "explain": f"runs/run data/images/cell_03.png --class cell --out out {DEVICE}",
    "import": "runs/run/model --out out",
    "measure": f"unet --size 32 {DEVICE}",
    "compare-networks": "data --networks nothing --out out",
    "tune": f"data --out out {DEVICE} --set train.batch_size=2 --set network.name=unet "
    "--set network.options.widths=[4,6] --set input.crop_size=[32,32]",
    "networks": "",
    "doctor": "",
}
"""Command -> arguments that are right, to which wrong ones are added; `demo` takes minutes even then."""

WRONG = (
    *("", " ", "x", "-1", "0", "1", "2", "0.5", "1.5", "nan", "inf", "-inf", "1e999", "9" * 400),
    *("99999999999", "1,2", "1,2,3,4", "1x1", "0x0", "x,", ",", "=", "a=", "a=1", "a.b=1"),
    *("[", "{", "[1]", "{a: 1}", "null", "true", "*", "**/*", "[!]", "(", "\\", "--", "-"),
    *("val", "test", "cell", "semantic", "instance", "panoptic", "unet", "voc", "float16"),
    *("cpu", "meta", "cuda:99", "data", "data/images", "data/images/cell_00.png", "data/dataset.yaml"),
    *("runs", "runs/run", "runs/run/plan.yaml", "runs/run/model", "runs/run/metrics.csv"),
    *("nowhere", "nowhere/deep/er", "~nouser/x", "x" * 300, "x" * 3000, "a/" * 2500),
    *("/dev/null", "/dev/null/x", "é\udce9", "\x1b[31m", "\u202ex"),
)
"""Values of options and arguments."""

WRONG_VALUES = (
    *("null", "x", "''", "-1", "0", "0.5", "-0.1", ".nan", ".inf", "1e999", "true", "1000000000000"),
    *("[]", "[1]", "[a]", "{}", "{a: 1}", "[[1]]", "[0, 0]", "[-1, 2]", "[", "9" * 400),
    *("2001-01-99", "*a", "!!python/name:os.system"),
)
"""Values of settings of the plan; none makes a training long."""

ENDLESS = {"minutes", "trials", "workers", "timed", "as_markdown", "show"}
"""Options that may make a command long, or open windows, when they have a right value."""


@cache
def _options() -> dict[str, list[Any]]:
    group = typer.main.get_command(app)
    return {name: [p for p in group.commands[name].params if p.name not in ENDLESS] for name in GOOD}


@cache
def _settings(given: Path) -> tuple[str, ...]:
    from limner.planning.plan_files import read_plan
    from limner.planning.settings import flatten

    endless = ("train.steps", "train.minutes")
    return tuple(key for key in flatten(read_plan(given / "run/plan.yaml")) if key not in endless)


def _wrong_options(given: Path) -> Attempt:
    def attempt(folder: Path, draw: Draw, attempted: list[str]) -> None:
        _copy(given, folder)
        name = list(GOOD)[int(draw.integers(len(GOOD)))]
        words = GOOD[name].split()
        for _ in range(draw.integers(1, 3)):
            words = list(_with_wrong(words, name, draw, given))
        _run(folder, [name, *words], attempted)

    return attempt


def _with_wrong(words: Sequence[str], name: str, draw: Draw, given: Path) -> Iterator[str]:
    """Yield the words of a command with one that is wrong, or one more."""
    wrong = WRONG[int(draw.integers(len(WRONG)))]
    options = [p for p in _options()[name] if p.param_type_name == "option"]
    way = int(draw.integers(4))
    if way == 0 and words:
        at = int(draw.integers(len(words)))
        yield from (*words[:at], wrong, *words[at + 1 :])
        return
    yield from words
    keys = _settings(given)
    if way == 1 and any("--set" in option.opts for option in options):
        yield "--set"
        yield f"{keys[int(draw.integers(len(keys)))]}={WRONG_VALUES[int(draw.integers(len(WRONG_VALUES)))]}"
    elif options:
        option = options[int(draw.integers(len(options)))]
        yield option.opts[0]
        yield from () if option.is_flag else [wrong] * option.nargs


ATTEMPTS: dict[str, Callable[[Path], Attempt]] = {
    "formats": _formats,
    "data": _on_files("data", DATA_COMMANDS),
    "runs": _on_files("runs/run", RUN_COMMANDS),
    "models": _on_files("runs/run/model", MODEL_COMMANDS),
    "checkpoints": _checkpoints,
    "options": _wrong_options,
    "tasks": _on_tasks,
}
"""Kind of attempts -> makes one, given the folder of `jobs.inputs`."""
