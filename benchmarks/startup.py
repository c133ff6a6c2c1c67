"""How long limner takes to answer before it does anything, and from `limner train` to its first step.

Run it with limner's own python, alone on the machine:

    python benchmarks/startup.py                 # `limner --help` and `import limner`
    python benchmarks/startup.py --train DATA    # also `limner train DATA`, with an empty cache each time
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 15

TRAIN_RUNS = 3


def seconds(*command: str) -> float:
    """Median wall time of a whole process, over several runs after one that warms the disk cache."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def seconds_to_first_step(data: Path) -> float:
    """Time from the start of `limner train` until its first step is in `metrics.csv`, with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "limner", "train", str(data), "--run", str(run), "--minutes", "10"]
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"LIMNER_CACHE": str(Path(folder) / "cache")},
        )
        metrics = run / "metrics.csv"
        while process.poll() is None and not (metrics.exists() and "train/" in metrics.read_text("utf-8")):
            time.sleep(0.02)
        passed = time.perf_counter() - start
        if process.poll() is not None:
            raise SystemExit(f"limner train {data} ended with {process.returncode} before its first step.")
        process.kill()
        process.wait()
    return passed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, metavar="DATA", help="folder to train on")
    given = parser.parse_args()
    python = sys.executable
    bare = seconds(python, "-c", "pass")
    imported = seconds(python, "-c", "import limner")
    helped = seconds(str(Path(python).with_name("limner")), "--help")
    print("| what | seconds |\n| --- | --- |")
    print(f"| python itself | {bare:.3f} |")
    print(f"| `import limner`, python's own start taken off | {imported - bare:.3f} |")
    print(f"| `limner --help`, whole process | {helped:.3f} |")
    if given.train is not None:
        times = [seconds_to_first_step(given.train) for _ in range(TRAIN_RUNS)]
        shown = ", ".join(f"{time_:.1f}" for time_ in times)
        print(f"| `limner train {given.train.name}` to the first step, cache empty | {shown} |")


if __name__ == "__main__":
    main()
