"""What a teacher adds to a small network: the same steps and seeds, with and without it.

    python benchmarks/teacher.py [--data nuclei camvid] [--seeds 0 1 2] [--steps 400] [--teacher-steps 800]

For each data set one teacher is trained first. Then the student is trained for each seed twice, for the same
number of steps from the same random weights: on the labels alone, and with `--teacher`. All are scored on the
same validation images at full size. With `--minutes`, each student has that time instead of the steps, so
that the teacher's forward pass costs steps. The interval is that of Student's t over the differences.
"""

import argparse
import os
import tempfile
from pathlib import Path

from paired_runs import print_rows, scores_of

import limner

SCORE = "mean_iou"
TEACHER = {"network": {"name": "encoder-unet", "options": {"backbone": "resnet34"}}}
STUDENT = {"network": {"name": "unet", "options": {"widths": [8, 16, 32, 64]}}}
QUIET = {"trackers": [], "validate_every": 10**6, "save_every": 10**6}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("LIMNER_SHARED_DATA", "data"))
    parser.add_argument("--data", nargs="+", default=["nuclei", "camvid"], help="folders, below --root")
    parser.add_argument("--root", type=Path, default=shared)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=400, help="of each student")
    parser.add_argument("--minutes", type=float, help="of each student, instead of steps")
    parser.add_argument("--teacher-steps", type=int, default=800)
    parser.add_argument("--side", type=int, default=192, help="height and width of the crops")
    arguments = parser.parse_args()
    print(f"| data | student | {SCORE} of seeds {arguments.seeds} | mean |\n| --- | --- | --- | ---: |")
    for name in arguments.data:
        with tempfile.TemporaryDirectory() as folder:
            compare(arguments.root / name, Path(folder), arguments)


def compare(data: Path, work: Path, arguments) -> None:
    """Print the rows of one data set."""
    length = {"minutes": arguments.minutes} if arguments.minutes else {"steps": arguments.steps}
    teacher = train(data, work / "teacher", arguments, TEACHER, {"steps": arguments.teacher_steps})
    found = {"alone": [], "with the teacher": []}
    for seed in arguments.seeds:
        for kind, scores in found.items():
            root = work / f"{kind.split()[0]}-{seed}"
            learned_from = teacher.root if kind == "with the teacher" else None
            run = train(data, root, arguments, STUDENT, {**length, "seed": seed}, teacher=learned_from)
            scores.append(scores_of(run)[SCORE])
    print(f"| {data.name} | the teacher | | {scores_of(teacher)[SCORE]:.4f} |")
    print_rows(found, prefix=f"| {data.name} ")


def train(data: Path, root: Path, arguments, network, length, teacher=None):
    settings = {
        **network,
        "train": {**QUIET, **length},
        "input": {"crop_size": [arguments.side, arguments.side]},
    }
    return limner.train(data, run=root, task="semantic", teacher=teacher, settings=settings)


if __name__ == "__main__":
    main()
