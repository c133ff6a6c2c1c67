"""What weights that were trained on one data set add on another, in the same time.

    python benchmarks/fine_tuning.py FIRST SECOND [--minutes 3] [--seeds 0 1 2]
    python benchmarks/fine_tuning.py FIRST SECOND --first-steps 200 --steps 100    # on a busy machine

`limner train FIRST` is run once, `limner train SECOND` for each seed twice: from scratch and with `--weights`
of the first run. All have the network that limner chooses for FIRST. The score is that of the validation
images of SECOND at full size; the interval is that of Student's t over the differences. With minutes, give it
the machine alone; with steps, what else the machine does changes nothing.
"""

import argparse
import os
import tempfile
from pathlib import Path

from paired_runs import print_rows, scores_of

import limner
from limner.planning.plan_files import read_plan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--steps", type=int, help="of each run on SECOND, instead of minutes")
    parser.add_argument("--first-steps", type=int, help="of the run on FIRST; default: as on SECOND")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--score", default="mean_iou")
    arguments = parser.parse_args()
    length = {"steps": arguments.steps} if arguments.steps else {"minutes": arguments.minutes}
    first = {"steps": arguments.first_steps} if arguments.first_steps else length
    print(f"{length} each, load {os.getloadavg()}\n")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        before = limner.train(arguments.first, run=work / "first", settings={"train": {**first, "seed": 0}})
        network = read_plan(before.plan).network
        found: dict[str, list[float]] = {"from scratch": [], f"from {arguments.first.name}": []}
        for seed in arguments.seeds:
            for weights, (kind, scores) in zip((None, str(before.model)), found.items(), strict=True):
                settings = {
                    "train": {**length, "seed": seed},
                    "network": {
                        "name": network.name,
                        "options": network.options,
                        "norm": network.norm,
                        "weights": weights,
                    },
                }
                run = limner.train(arguments.second, run=work / f"{kind}-{seed}", settings=settings)
                scores.append(scores_of(run)[arguments.score])
    print(
        f"| {arguments.second.name} | {arguments.score} of seeds {arguments.seeds} | mean |\n"
        "| --- | --- | ---: |"
    )
    print_rows(found)


if __name__ == "__main__":
    main()
