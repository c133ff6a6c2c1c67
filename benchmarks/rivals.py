"""Accuracy for the same minutes: `limner train` against nnU-Net's own trainer and a plain U-Net loop.

limner runs as a user would run it, with no option but --minutes, --spatial and a seed, in a process of its
own. The rivals then train on the very same images for the very same time, and all predict the same
validation images at full size:

- `smp`: segmentation_models_pytorch's U-Net on ResNet-18 from scratch, as in `rival_smp.py`; 2D images only;
- `nnunet`: nnU-Net's planner, preprocessing, network, loss, augmentation and optimizer, as in
  `rival_nnunet.py`. Its planning and preprocessing are not counted.

Dice is the mean over the classes other than the background: pooled over all images, and per case, where a
class that is in neither truth nor prediction of a case does not count.

    python benchmarks/rivals.py DATA [DATA ...] --minutes 3 --seeds 0 1 2
    python benchmarks/rivals.py hippocampus --spatial 3d 2d --minutes 10 --rivals nnunet
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import rival_nnunet
import rival_smp

import limner
from limner.core.label_map import LabelMap
from limner.core.labels import LabelTable
from limner.core.picture import Geometry
from limner.core.run_folder import RunFolder
from limner.formats import open_source
from limner.loading.target_readers import READERS
from limner.preparation.run_splits import read_splits


@dataclass(frozen=True)
class Case:
    """An image (*S, C) in file values, its trained labels (*S) and its geometry."""

    name: str
    image: np.ndarray
    labels: np.ndarray
    geometry: Geometry


@dataclass(frozen=True)
class Outcome:
    """Steps that were trained, and the predicted labels (*S) of each validation case."""

    who: str
    steps: int
    predicted: list[np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rivals", nargs="*", choices=("smp", "nnunet"), default=["smp", "nnunet"])
    parser.add_argument("--spatial", nargs="+", choices=("2d", "3d"), help="of volumes; limner trains each")
    parser.add_argument(
        "--short-side", type=int, help="smp: shorter side to which images are resized; default: as they are"
    )
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    print(f"{arguments.minutes:g} minutes each, {arguments.threads} threads, load {os.getloadavg()}\n")
    print("| data | seed | trained by | steps | pooled Dice | Dice per case |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for data in arguments.data:
        for seed in arguments.seeds:
            with tempfile.TemporaryDirectory() as work:
                compare(data, seed, Path(work), arguments)


def compare(data: Path, seed: int, work: Path, arguments: argparse.Namespace) -> None:
    """Train everybody on the split of limner's first run, and print their rows."""
    seconds = 60 * arguments.minutes
    runs = {
        f"limner {spatial or ''}".strip(): train_limner(data, work, seed, arguments.minutes, spatial)
        for spatial in arguments.spatial or [None]
    }
    first = next(iter(runs.values()))
    plan = limner.load(first.root, device="cpu").plan
    labels = plan.data.label_table
    source = open_source(data)
    train, val = (
        list(read_cases(source, read_splits(first, source)[name], labels)) for name in ("train", "val")
    )
    outcomes = [predict_limner(name, run, val) for name, run in runs.items()]
    if "smp" in arguments.rivals and val[0].labels.ndim == 2:
        steps, predicted = rival_smp.train_and_predict(
            train, val, labels, seconds=seconds, seed=seed, turns=plan.augment.quarter_turns,
            short_side=arguments.short_side,
        )  # fmt: skip
        outcomes.append(Outcome("segmentation_models_pytorch", steps, predicted))
    if "nnunet" in arguments.rivals:
        # In a process of its own: nnU-Net reads the place of its folders once.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            steps, predicted = pool.submit(
                rival_nnunet.train_and_predict, train, val, labels,
                seconds=seconds, seed=seed, work=work / "nnunet",
            ).result()  # fmt: skip
        outcomes.append(Outcome("nnU-Net", steps, predicted))
    for outcome in outcomes:
        pooled, per_case = dice(outcome.predicted, val, labels)
        numbers = f"{outcome.steps} | {pooled:.4f} | {per_case:.4f}"
        print(f"| {data.name} | {seed} | {outcome.who} | {numbers} |", flush=True)


def train_limner(data: Path, work: Path, seed: int, minutes: float, spatial: str | None) -> RunFolder:
    """Train in a process of its own."""
    run = RunFolder(work / f"limner-{spatial or 'default'}")
    command = [sys.executable, "-m", "limner", "train", str(data), "--minutes", str(minutes)]
    command += ["--set", f"train.seed={seed}", "--device", "cpu", "--run", str(run.root)]
    command += ["--spatial", spatial] if spatial else []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return run


def predict_limner(name: str, run: RunFolder, val: Sequence[Case]) -> Outcome:
    predictor = limner.load(run.root, device="cpu")
    steps = json.loads((run.model / "model.json").read_text(encoding="utf-8"))["origin"]["steps"]
    predicted = [predictor.predict(c.image, name=c.name, geometry=c.geometry).semantic for c in val]
    return Outcome(f"{name}, {predictor.plan.network.name}", steps, predicted)


def read_cases(source, records, labels: LabelTable) -> Iterator[Case]:  # noqa: ANN001
    for record in records:
        picture = source.read_image(record)
        target = READERS[LabelMap](source, record, labels)
        yield Case(record.name, picture.array, target.labels, picture.geometry)


def dice(predicted: Sequence[np.ndarray], val: Sequence[Case], labels: LabelTable) -> tuple[float, float]:
    """Return the mean over the foreground classes of the pooled Dice, and of the mean Dice of the cases."""
    pooled, each = [], []
    for label in range(len(labels.names)):
        if label == labels.background_index:
            continue
        counts = []
        for found, case in zip(predicted, val, strict=True):
            counted = case.labels != labels.ignore_index
            truth, guess = (case.labels == label) & counted, (found == label) & counted
            counts.append((int((truth & guess).sum()), int(truth.sum() + guess.sum())))
        both, all_pixels = np.array(counts).T
        if all_pixels.sum():
            pooled.append(2 * both.sum() / all_pixels.sum())
            each.append((2 * both[all_pixels > 0] / all_pixels[all_pixels > 0]).mean())
    return float(np.mean(pooled)), float(np.mean(each))


if __name__ == "__main__":
    main()
