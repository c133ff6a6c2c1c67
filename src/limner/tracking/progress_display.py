"""Progress display: a live line on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

from limner.core.printable import printable
from limner.core.score_names import SCORES, shown
from limner.core.watchers import Moment, Watcher
from limner.core.wording import memory
from limner.devices.processes import num_processes

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_SECONDS = 30.0
"""Seconds between two plain lines: enough to see that a cluster job is alive."""
LIVE_SECONDS = 0.2
"""Seconds between two updates of the live line."""
WIDTH_FOR_BAR = 106
"""Minimum terminal width for a bar after the text, which also has the percentage."""


class ProgressDisplay(Watcher):
    """Shows step, time left, loss, speed and the last score.

    Args:
        stream: Output stream; defaults to standard error, so that results can be piped.
        live: Whether to redraw one line; by default, if the stream is a terminal.
        clock: Clock in seconds, for tests.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty() if live is None else live
        self._clock = clock
        self._shown = float("-inf")
        self._values: dict[str, float] = {}
        self._of_volumes = False
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def start(self, moment: Moment, settings: Mapping[str, object]) -> None:
        """Print what is trained, then open the live line or print the first plain one."""
        dims, axis = settings.get("input.spatial_dims"), settings.get("input.slice_axis")
        self._of_volumes = dims == 3 or axis is not None
        if settings:
            self.say(describe_run(settings, processes=num_processes()))
        if self._live:
            self._open_bar()
        self._show(moment)

    def step(self, moment: Moment) -> None:
        """Update the display if the last update is old enough."""
        pause = LIVE_SECONDS if self._live else PLAIN_SECONDS
        if self._clock() - self._shown >= pause or moment.progress >= 1:
            self._show(moment)

    def log(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Store the newest values; validation scores are shown at once."""
        self._values.update(values)
        if any(name.startswith("val/") for name in values):
            self.say(f"step {step}: validation  {_scores(values, of_volumes=self._of_volumes)}")

    def say(self, message: str) -> None:
        """Print a message, control characters written out."""
        message = printable(message)
        if self._bar is not None:
            self._bar.console.print(message, markup=False, highlight=False)
        else:
            self._stream.write(f"{message}\n")
            self._stream.flush()

    def close(self) -> None:
        """Close the live line."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn

        console = Console(file=self._stream)
        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        if console.width >= WIDTH_FOR_BAR:
            columns.append(BarColumn(bar_width=24))
        self._bar = Progress(*columns, console=console, refresh_per_second=4)
        self._task = self._bar.add_task("training", total=1.0)
        self._bar.start()

    def _show(self, moment: Moment) -> None:
        self._shown = self._clock()
        line = describe_moment(moment, self._values)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=moment.progress, description=line)
        else:
            self.say(line)


def describe_run(settings: Mapping[str, object], *, processes: int = 1) -> str:
    """Return one line: network, images, crops, precision, processes and duration, from flat settings."""
    images = " and ".join(
        f"{settings[f'data.num_images.{split}']} {words}"
        for split, words in (("train", "images"), ("val", "for validation"))
        if f"data.num_images.{split}" in settings
    )
    crop = settings.get("input.crop_size")
    size = " x ".join(map(str, crop)) if isinstance(crop, (list, tuple)) else str(crop)
    minutes = settings.get("train.minutes")
    length = f"{minutes:g} min" if isinstance(minutes, float) else f"{settings.get('train.steps')} steps"
    together = "" if processes == 1 else f"{processes} processes, "
    return (
        f"Training {settings.get('network.name')} on {images}: batches of {settings.get('train.batch_size')} "
        f"crops of {size}, {settings.get('train.precision')}, {together}{length}"
    )


def describe_moment(moment: Moment, values: Mapping[str, float]) -> str:
    """Return one line: step, time spent and left, loss, learning rate, speed, waiting, and peak memory."""
    left = moment.seconds_left
    parts = [f"step {moment.step}/{moment.steps}", f"{moment.progress:4.0%}", _time(moment.seconds)]
    if left is not None and moment.progress < 1:
        parts.append(f"{_time(left)} left")
    if "train/loss" in values:
        parts.append(f"loss {values['train/loss']:.4f}")
    if "train/learning_rate" in values:
        parts.append(f"lr {values['train/learning_rate']:.2g}")
    if "train/step_seconds" in values:
        step, data = values["train/step_seconds"], values.get("train/data_seconds", 0.0)
        part = data / step if step > 0 else 0.0
        parts.append(f"{step:.2f} s/step, {part:.0%} waiting for data")
    if moment.peak_bytes is not None:
        parts.append(memory(moment.peak_bytes))
    return "  ".join(parts)


def _scores(values: Mapping[str, float], *, of_volumes: bool) -> str:
    scores = {name.removeprefix("val/"): value for name, value in values.items()}
    rows = {name: SCORES[name].of_voxels() if of_volumes else SCORES[name] for name in shown(scores)}
    return "  ".join(f"{row.label} {scores[name]:.4f}" for name, row in rows.items())


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
