"""How long limner takes to answer before it does anything: `limner --help` and `import limner`.

Run it with limner's own python: ``python benchmarks/startup.py``.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15


def seconds(*command: str) -> float:
    """Median wall time of a whole process, over several runs after one that warms the disk cache."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    python = sys.executable
    bare = seconds(python, "-c", "pass")
    imported = seconds(python, "-c", "import limner")
    helped = seconds(str(Path(python).with_name("limner")), "--help")
    print("| what | seconds |\n| --- | --- |")
    print(f"| python itself | {bare:.3f} |")
    print(f"| `import limner`, python's own start taken off | {imported - bare:.3f} |")
    print(f"| `limner --help`, whole process | {helped:.3f} |")


if __name__ == "__main__":
    main()
