"""Training in two processes on the CPU against one with both cores, and how long a second one takes to start.

    python benchmarks/processes.py [--steps 40] [--rounds 3]

The images and the plan of `limner demo`, `limner train --devices 1` and `--devices 2` in turns, with the same
whole batch. A round's rate is the batch by the median time of the steps after the first ten. Starting is the
time of a whole command with one step: that of two processes less that of one. Give it the machine alone.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NUCLEI = Path(__file__).parents[1] / "src/limner/example/nuclei"

LOGGED_LATE = 10
"""Steps from which times count; earlier ones fill caches."""


def train(folder: Path, devices: int, steps: int, batch: int) -> float:
    """Train, and return the seconds of the whole command."""
    command = [sys.executable, "-m", "limner", "train", str(NUCLEI), "--run", str(folder), "--device", "cpu"]
    command += ["--devices", str(devices)]
    chosen = {
        "train.steps": steps,
        "train.batch_size": batch,
        "train.accumulate": 1,
        "train.validate_every": steps,
        "train.save_every": steps,
    }
    command += [word for key, value in chosen.items() for word in ("--set", f"{key}={value}")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "MKL_"))}
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def rate(run: Path, batch: int) -> float:
    """Return images per second in the later steps of a run."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["name"] == "train/step_seconds"]
    late = [float(row["value"]) for row in rows if int(row["step"]) > LOGGED_LATE]
    return batch / statistics.median(late)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    rates: dict[int, list[float]] = {1: [], 2: []}
    starts: dict[int, list[float]] = {1: [], 2: []}
    for number in range(arguments.rounds):
        for devices in (1, 2) if number % 2 == 0 else (2, 1):
            with tempfile.TemporaryDirectory() as scratch:
                starts[devices].append(train(Path(scratch) / "start", devices, 1, 2))
                train(Path(scratch) / "run", devices, arguments.steps, arguments.batch)
                rates[devices].append(rate(Path(scratch) / "run", arguments.batch))
    one, two = (statistics.median(rates[devices]) for devices in (1, 2))
    print(f"images per second: one process {one:.2f}, two {two:.2f}, ratio {two / one:.2f}")
    alone, both = (statistics.median(starts[devices]) for devices in (1, 2))
    print(f"a command of one step: one process {alone:.1f} s, two {both:.1f} s, {both - alone:.1f} s more")


if __name__ == "__main__":
    main()
