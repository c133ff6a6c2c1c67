"""A run of seconds on drawn images: a network with batch norm and dropout, discs on a grey ground.

Imported by the tests' fixture, and run as a script where a test needs a process of its own:
``python tiny_run.py FOLDER [KEY=VALUE ...]``; without arguments, it reads them line by line, as JSON.
"""

import atexit
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from limner.core.config import merge, parse_assignment
from limner.core.dataset_file import DatasetFile
from limner.core.execution import Execution
from limner.core.labels import LabelClass, LabelTable
from limner.core.outputs import DenseLogits
from limner.core.picture import Picture
from limner.core.plan import Plan
from limner.core.run_folder import RunFolder
from limner.core.sample import Record
from limner.core.watchers import Moment, Watcher
from limner.formats.source import Source
from limner.layers.training_progress import ProgressAware
from limner.loading.dataset import Dataset
from limner.training.fit import FitResult, fit

SIZE = 40


class DrawnSource(Source):
    """Each image is a function of its name."""

    name = "drawn"
    title = "images drawn in memory"

    @classmethod
    def recognise(cls, root: Path, settings: DatasetFile) -> str | None:
        return None

    def index(self):
        records = [
            Record(f"disc_{i}", Path(f"disc_{i}.png"), (Path(f"disc_{i}_mask.png"),)) for i in range(10)
        ]
        return tuple(records), ()

    def _disc(self, record: Record) -> np.ndarray:
        number = int(record.name.rpartition("_")[2])
        row, column = np.mgrid[:SIZE, :SIZE]
        return (row - 12 - number) ** 2 + (column - 26 + number) ** 2 < (6 + number % 4) ** 2

    def read_image(self, record: Record) -> Picture:
        noise = np.random.default_rng(int(record.name.rpartition("_")[2])).integers(0, 60, (SIZE, SIZE, 3))
        return Picture((noise + 120 * self._disc(record)[..., None]).astype(np.uint8))

    def read_values(self, record: Record) -> np.ndarray:
        return np.where(self._disc(record), 255, 0)


class Fading(ProgressAware):
    """A gain that falls to one as training goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor(1.5))

    def set_progress(self, progress: float) -> None:
        self.gain.fill_(1.5 - 0.5 * progress)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gain


class TinyNetwork(nn.Module):
    """Two convolutions with what makes resuming hard between them, unless `plain`."""

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__()
        norm = nn.Identity() if plain else nn.BatchNorm2d(8)
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), norm, nn.ReLU())
        self.dropout = nn.Dropout2d(0.0 if plain else 0.3)
        self.fading = nn.Identity() if plain else Fading()
        self.head = nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        return DenseLogits(self.head(self.dropout(self.fading(self.backbone(images)))))


class Residual(nn.Module):
    """A block whose 7 channels two processes cannot divide evenly."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(7, 7, 3, padding=1), nn.ReLU())

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps + self.layers(maps)


class BlockNetwork(nn.Module):
    """Six blocks, without batch norm and dropout, and buffers of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 7, 3, padding=1)
        self.blocks = nn.ModuleList(Residual() for _ in range(6))
        self.fading = Fading()
        self.register_buffer("share", torch.tensor(0.9), persistent=False)
        self.head = nn.Conv2d(7, 2, 1)

    def forward(self, images: torch.Tensor) -> DenseLogits:
        maps = self.stem(images)
        for block in self.blocks:
            maps = block(maps) * self.share
        return DenseLogits(self.head(self.fading(maps)))


def tiny_plan(**settings: Any) -> Plan:
    """A plan of 20 steps; `settings` are laid over it, section by section."""
    base = {
        "data": {
            "path": "drawn",
            "format": "drawn",
            "num_images": {"train": 8, "val": 2},
            "labels": label_table().to_dict(),
        },
        "network": {"name": "unet", "pretrained": "no"},
        "input": {"channels": 3, "crop_size": (36, 36), "mean": (60.0,) * 3, "std": (50.0,) * 3},
        "optimizer": {"learning_rate": 0.01},
        "train": {"steps": 20, "batch_size": 4, "validate_every": 5, "save_every": 4, "trackers": ()},
    }
    return Plan.model_validate(merge(base, settings))


def label_table() -> LabelTable:
    return LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("disc", (255,), (255, 0, 0))))


def datasets() -> tuple[Dataset, Dataset]:
    source = DrawnSource(Path("drawn"), DatasetFile())
    labels = label_table()
    return Dataset(source, source.records[:8], labels), Dataset(source, source.records[8:], labels)


def run_tiny(folder: Path, plan: Plan, **options: Any) -> FitResult:
    train, val = datasets()
    build = options.pop("build", partial(TinyNetwork, plain=options.pop("plain", False)))
    torch.manual_seed(1)
    options = {
        "network": build(),
        "execution": Execution(options.pop("device", "cpu"), watchers=options.pop("watchers", ())),
        "val": val,
        **options,
    }
    return fit(plan, train=train, run=RunFolder(folder), **options)


class KillAt(Watcher):
    """Kills the process, as a power cut would, right after a step and before anything is saved of it."""

    def __init__(self, step: int) -> None:
        self._step = step

    def step(self, moment: Moment) -> None:
        if moment.step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


def print_threads() -> None:
    """Print the names of this process's threads, where the system tells them."""
    print(*(path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")))


def main(arguments: list[str]) -> None:
    """Train as the arguments say."""
    folder, *others = arguments
    settings: dict[str, Any] = {}
    for assignment in others:
        settings = merge(settings, parse_assignment(assignment))
    kill, plain = settings.pop("kill", None), settings.pop("plain", False)
    watchers = [KillAt(kill)] if kill else []
    run_tiny(Path(folder), tiny_plan(**settings), plain=plain, watchers=watchers)


def serve() -> None:
    """Train as each line of standard input says, in a process of its own, and print how it ended."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(2, 1)
            main(json.loads(line))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:]:
        atexit.register(print_threads)  # after everything that is registered later
        main(sys.argv[1:])
    else:
        serve()
