"""Whether `limner train --minutes` keeps its word while other programs come and go.

    python benchmarks/time_budget.py FOLDER [FOLDER ...] [--minutes 2] [--load 20]

Each folder is trained for the minutes while two busy loops compute for some seconds and rest for as many.
Goal: the run, all of which is steps and validations, ends within 3 % of its budget.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOP = "while True: pass"


@contextmanager
def load_from_time_to_time(seconds: float) -> Iterator[None]:
    """Let two busy loops compute for some seconds and rest for as many, in turns; 0 is no load."""
    done = threading.Event()

    def take_turns() -> None:
        while seconds and not done.wait(seconds):
            loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(2)]
            done.wait(seconds)
            for loop in loops:
                loop.kill()
                loop.wait()

    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def train(folder: Path, run: Path, minutes: float) -> None:
    """Train in a process of its own."""
    command = [sys.executable, "-m", "limner", "train", str(folder), "--minutes", str(minutes)]
    subprocess.run(
        [*command, "--run", str(run), "--device", "cpu"],
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def row(name: str, run: Path, minutes: float) -> str:
    """Return the row of a finished run."""
    card = json.loads((run / "model" / "model.json").read_text())
    with (run / "metrics.csv").open(newline="") as file:
        last = max(float(line["seconds"]) for line in csv.DictReader(file))
    ended = last / (60 * minutes)
    origin = card["origin"]
    return f"| {name} | {minutes:g} | {origin['steps']} | {origin['seconds']:.0f} s | {100 * ended:.1f} % |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--load", type=float, default=20, help="seconds of load and of rest")
    arguments = parser.parse_args()
    print("| folder | minutes | steps | ended after | of the budget |\n| --- | ---: | ---: | ---: | ---: |")
    for folder in arguments.folders:
        with tempfile.TemporaryDirectory() as scratch, load_from_time_to_time(arguments.load):
            train(folder, Path(scratch) / "run", arguments.minutes)
            print(row(folder.name, Path(scratch) / "run", arguments.minutes), flush=True)


if __name__ == "__main__":
    main()
