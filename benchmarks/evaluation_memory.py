"""Does evaluation's memory grow with the number of images? Peak of a fresh process for 100 and for 2000.

    python benchmarks/evaluation_memory.py [--images 100 2000] [--side 512]

Images are drawn at random, written as PNG, and evaluated through `limner.evaluate` with a tiny U-Net on
the CPU, pictures and per-image scores included. Each number of images runs in a process of its own; the
peak is that of its resident memory (ru_maxrss).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 3


def main() -> None:
    """Measure each number of images and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[100, 2000])
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure)
        return
    peaks = {}
    for count in arguments.images:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), count, arguments.side)
            command = [sys.executable, __file__, "--measure", folder]
            found = [
                int(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(RUNS)
            ]
        peaks[count] = sorted(found)[RUNS // 2]
        print(f"{count:6d} images of {arguments.side}x{arguments.side}: peak {peaks[count] / 2**20:7.1f} MiB")
    fewest, most = min(peaks), max(peaks)
    growth = (peaks[most] - peaks[fewest]) / max(1, most - fewest) / 1024
    decoded = arguments.side**2 * 3 / 1024
    print(
        f"growth from {fewest} to {most}: {growth:.2f} KiB an image; one decoded image is {decoded:.0f} KiB"
    )


def prepare(root: Path, count: int, side: int) -> None:
    """Write a dataset and a run that evaluates all of it."""
    import cv2
    import numpy as np

    from limner.core.labels import LabelClass, LabelTable
    from limner.core.plan import DataPlan, InputPlan, NetworkPlan, OptimizerPlan, Plan, TrainPlan
    from limner.core.run_folder import RunFolder
    from limner.weights.bundle import save_model
    from limner.weights.model import Model

    for kind in ("images", "masks"):
        (root / "data" / kind).mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(count):
        coarse = draw.integers(0, 256, (side // 16, side // 16, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(root / "data" / "images" / f"{number:05d}.png"), image)
        cv2.imwrite(
            str(root / "data" / "masks" / f"{number:05d}.png"), (image[..., 1] > 128).astype(np.uint8)
        )
    labels = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("blob", (1,), (255, 0, 0))))
    plan = Plan(
        data=DataPlan(
            path=str(root / "data"), format="paired-folders", num_images={}, labels=labels.to_dict()
        ),
        network=NetworkPlan(name="unet", options={"widths": [4, 6]}),
        input=InputPlan(channels=3, crop_size=(64, 64), mean=(128.0,) * 3, std=(64.0,) * 3),
        optimizer=OptimizerPlan(learning_rate=0.001),
        train=TrainPlan(steps=1, batch_size=1, validate_every=1, save_every=1),
    )
    run = RunFolder(root / "run")
    save_model(run.model, Model.from_plan(plan), origin={})
    run.splits.write_text(json.dumps({"val": [f"{n:05d}" for n in range(count)]}), encoding="utf-8")


def measure(root: Path) -> None:
    """Evaluate, and print the peak in bytes."""
    import torch

    import limner

    torch.set_num_threads(1)
    limner.evaluate(root / "run", device="cpu")
    unit = 1 if sys.platform == "darwin" else 1024
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


if __name__ == "__main__":
    main()
