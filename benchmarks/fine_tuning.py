"""What weights that were trained on one data set add on another, in the same minutes.

    python benchmarks/fine_tuning.py FIRST SECOND [--minutes 3] [--seeds 0 1 2]

`limner train FIRST` is run once, `limner train SECOND` for each seed twice: from scratch and with `--weights`
of the first run, which also gives it the first run's network. The score is that of the validation images of
SECOND at full size; the interval is that of Student's t over the differences. Give it the machine alone.
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from teacher import interval

import limner


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--score", default="mean_iou")
    arguments = parser.parse_args()
    print(f"{arguments.minutes:g} minutes each, load {os.getloadavg()}\n")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        before = limner.train(
            arguments.first, run=work / "first", minutes=arguments.minutes, settings={"train": {"seed": 0}}
        )
        found: dict[str, list[float]] = {"from scratch": [], f"from {arguments.first.name}": []}
        for seed in arguments.seeds:
            for index, scores in enumerate(found.values()):
                settings = {"train": {"seed": seed}}
                if index:
                    settings["network"] = {"weights": str(before.model)}
                run = limner.train(
                    arguments.second,
                    run=work / f"{index}-{seed}",
                    minutes=arguments.minutes,
                    settings=settings,
                )
                path = run.evaluation("val") / "scores.json"
                scores.append(json.loads(path.read_text(encoding="utf-8"))[arguments.score])
    print(
        f"| {arguments.second.name} | {arguments.score} of seeds {arguments.seeds} | mean |\n"
        "| --- | --- | ---: |"
    )
    for kind, scores in found.items():
        each = ", ".join(f"{score:.4f}" for score in scores)
        print(f"| {kind} | {each} | {statistics.mean(scores):.4f} |")
    gains = [after - alone for alone, after in zip(*found.values(), strict=True)]
    print(f"| difference | | {statistics.mean(gains):+.4f}{interval(gains)} |")


if __name__ == "__main__":
    main()
