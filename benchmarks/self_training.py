"""What self-training adds: images without labels, learned as the first model predicts them.

    python benchmarks/self_training.py [--data nuclei] [--seeds 0 1 2] [--labelled 20] [--unlabelled 100]

For each seed the images are divided anew: some keep their labels, some lose them, and the others validate. A
first model is trained on the labelled images. From its weights, two more are trained for the same number of
steps: on the labelled images alone, and with `--unlabelled`. The steps are set, so other work on the machine
changes no score. The interval is that of Student's t over the differences.
"""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from paired_runs import print_rows, scores_of
from teacher import QUIET, STUDENT

import limner

SCORES = ("mean_iou", "foreground_dice")
KINDS = ("the first model", "labelled images alone", "with --unlabelled")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = Path(os.environ.get("LIMNER_SHARED_DATA", "data"))
    parser.add_argument("--data", default="nuclei", help="a folder of one folder per image, below --root")
    parser.add_argument("--root", type=Path, default=shared)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--labelled", type=int, default=20)
    parser.add_argument("--unlabelled", type=int, default=100)
    parser.add_argument("--steps", type=int, default=200, help="of each model")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--side", type=int, default=128, help="height and width of the crops")
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            for kind, scores in compare(Path(folder), seed, arguments).items():
                found[kind].append(scores)
    for score in SCORES:
        print(f"\n| model | {score} of seeds {arguments.seeds} | mean |\n| --- | --- | ---: |")
        print_rows({kind: [one[score] for one in scores] for kind, scores in found.items()})


def compare(work: Path, seed: int, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the validation scores of the three models of a seed."""
    data, more = divide(arguments.root / arguments.data, work, seed, arguments)
    first = train(data, work / "first", seed, arguments, **STUDENT)
    alone = train(data, work / "alone", seed, arguments, weights=first.root)
    both = train(data, work / "both", seed, arguments, weights=first.root, unlabelled=more)
    print(json.loads((both.pseudo_labels / "summary.json").read_text(encoding="utf-8"))["classes"])
    return {kind: scores_of(run) for kind, run in zip(KINDS, (first, alone, both), strict=True)}


def divide(source: Path, work: Path, seed: int, arguments: argparse.Namespace) -> tuple[Path, Path]:
    """Copy the labelled and validation images with their masks, and the unlabelled images without.

    Returns:
        The dataset, and the folder of images without labels.
    """
    names = sorted(path.name for path in source.iterdir() if path.is_dir())
    shuffled = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    middle = arguments.labelled + arguments.unlabelled
    assert middle < len(names), f"{len(names)} images leave none for validation"
    splits = {"train": shuffled[: arguments.labelled], "val": shuffled[middle:]}
    data, more = work / "data", work / "more"
    for split, members in splits.items():
        for name in members:
            shutil.copytree(source / name, data / split / name)
    more.mkdir()
    for name in shuffled[arguments.labelled : middle]:
        (image,) = (source / name / "images").iterdir()
        shutil.copyfile(image, more / image.name)
    return data, more


def train(data, root, seed, arguments, *, weights=None, unlabelled=None, **settings):
    length = {"steps": arguments.steps, "batch_size": arguments.batch_size, "seed": seed}
    settings |= {
        "train": {**QUIET, **length, "precision": "float32"},
        "input": {"crop_size": [arguments.side] * 2},
    }
    return limner.train(
        data, run=root, task="semantic", weights=weights, unlabelled=unlabelled, settings=settings
    )


if __name__ == "__main__":
    main()
