"""What initial weights add: the same network, seeds and steps, from random weights and from an import.

    python benchmarks/fine_tuning.py DATA --first OTHER_DATA [--steps 300] [--seeds 0 1 2]
    python benchmarks/fine_tuning.py DATA --weights CHECKPOINT [--network encoder-unet]

With `--first`, limner is first trained on another data set, for `--first-steps`. `--weights` are any that
`limner import` reads, such as a classifier of images. Then `limner train DATA` is run twice for each seed:
with these weights; and from random ones, with the network and the normalisation of the other run, so that
only the initial values and the learning rates differ, which limner plans for each. All have the same number
of steps, so that the load of the machine does not matter; with `--minutes` they have the same time, and need
the machine alone. The score is that of the validation images at full size; the interval is that of Student's
t over the differences.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from teacher import QUIET, interval, score_of

import limner
from limner.planning.plan_files import read_plan

SCRATCH = "random weights"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--first", type=Path, help="data set to train on first")
    source.add_argument("--weights", type=Path, help="a checkpoint, instead of --first")
    parser.add_argument("--network", help="network on the encoder of --weights")
    parser.add_argument("--steps", type=int, default=300, help="of each run on DATA")
    parser.add_argument("--minutes", type=float, help="of each run on DATA, instead of steps")
    parser.add_argument("--first-steps", type=int, default=600)
    parser.add_argument("--side", type=int, default=192, help="height and width of the crops")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    length = {"minutes": arguments.minutes} if arguments.minutes else {"steps": arguments.steps}
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), arguments, length)


def compare(work: Path, arguments: argparse.Namespace, length: dict[str, float]) -> None:
    """Print a row for each kind of initial weights, and their difference."""
    weights, name = arguments.weights, str(arguments.weights)
    if arguments.first is not None:
        before = train(arguments.first, work / "first", arguments, {"steps": arguments.first_steps}, {})
        weights, name = before.model, arguments.first.name
        print(f"{name}: mean_iou {score_of(before):.4f} after {arguments.first_steps} steps\n")
    found: dict[str, list[float]] = {name: [], SCRATCH: []}
    for seed in arguments.seeds:
        chosen = {"network": {"weights": str(weights)}}
        if arguments.network:
            chosen["network"]["name"] = arguments.network
        tuned = train(arguments.data, work / f"tuned-{seed}", arguments, {**length, "seed": seed}, chosen)
        run = train(
            arguments.data, work / f"scratch-{seed}", arguments, {**length, "seed": seed}, same_plan(tuned)
        )
        found[name].append(score_of(tuned))
        found[SCRATCH].append(score_of(run))
        print(f"seed {seed}: {found[name][-1]:.4f} and {found[SCRATCH][-1]:.4f}", flush=True)
    print(f"\n{cpu_minutes():.1f} minutes of CPU time\n")
    print(
        f"| {arguments.data.name}, from | mean_iou of seeds {arguments.seeds} | mean |\n| --- | --- | ---: |"
    )
    for kind, scores in found.items():
        each = ", ".join(f"{score:.4f}" for score in scores)
        print(f"| {kind} | {each} | {statistics.mean(scores):.4f} |")
    gains = [with_them - without for with_them, without in zip(*found.values(), strict=True)]
    print(f"| difference | | {statistics.mean(gains):+.4f}{interval(gains)} |")


def same_plan(run) -> dict:
    """Return the settings that give random weights the network and the input of a run."""
    plan = read_plan(run.plan)
    network = {"name": plan.network.name, "options": dict(plan.network.options), "pretrained": "no"}
    return {"network": network, "input": {"mean": list(plan.input.mean), "std": list(plan.input.std)}}


def cpu_minutes() -> float:
    """Return the CPU time of this process and of its finished children, in minutes."""
    return sum(os.times()[:4]) / 60


def train(data: Path, root: Path, arguments, length, settings):
    merged = {
        **settings,
        "train": {**QUIET, **length, "batch_size": arguments.batch},
        "input": {"crop_size": [arguments.side] * 2, **settings.get("input", {})},
    }
    return limner.train(data, run=root, task="semantic", settings=merged)


if __name__ == "__main__":
    main()
