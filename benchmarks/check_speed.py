"""How fast limner checks, sums up and plans for a large folder: 1000 images of a megapixel with masks.

    python benchmarks/check_speed.py [--images 1000] [--runs 3] [--workers 2] [--folder /tmp/megapixel]

Two folders are made, equal but for the images' format: PNG and JPEG, 1000 x 1000 pixels, with masks of 19
classes as PNG. The pictures are gradients and shapes under soft texture and a little sensor noise, so that
files have about the size of a street scene's and take as long to decode. Each row is a process of its own,
from the import on; ``check``, ``stats`` and ``plan`` (what ``train`` does before it builds a network) begin
with an empty cache of facts, ``plan again`` finds what ``plan`` left. Medians over the runs. ``cpu`` is
processor time over all threads, which a busy machine distorts less; memory is the peak of the process;
``decoded`` is how often OpenCV decoded a file, which is to be once for an image and once for its mask.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy starts its threads

import cv2
import numpy as np

SIDE, NUM_CLASSES, NUM_SHAPES = 1000, 19, 80
VERBS = ("check", "stats", "plan", "plan again")


def make_sets(folder: Path, count: int) -> None:
    """Write png/ and jpeg/, each with images/ and masks/."""
    for kind in ("png", "jpeg"):
        for part in ("images", "masks"):
            (folder / kind / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.9, (2 * SIDE, 2 * SIDE, 3)).astype(np.float32)
    for number in range(count):
        image, labels = picture(np.random.default_rng(number), noise)
        cv2.imwrite(str(folder / f"png/images/{number:04}.png"), image)
        cv2.imwrite(str(folder / f"jpeg/images/{number:04}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
        for kind in ("png", "jpeg"):
            cv2.imwrite(str(folder / f"{kind}/masks/{number:04}.png"), labels)


def picture(rng: np.random.Generator, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (H, W, 3) uint8 and its (H, W) labels; `noise`: (2H, 2W, 3), of which a part is taken."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    rows = np.linspace(150, 90, SIDE)[:, None, None] + rng.uniform(0, 40, 3)
    image = np.broadcast_to(rows, (SIDE, SIDE, 3)).astype(np.float32).copy()
    for _ in range(NUM_SHAPES):
        center = tuple(rng.integers(SIDE, size=2).tolist())
        axes = tuple(rng.integers(8, 120, size=2).tolist())
        shape = (center, axes, float(rng.integers(180)), 0, 360)
        cv2.ellipse(labels, *shape, int(rng.integers(NUM_CLASSES)), -1)
        cv2.ellipse(image, *shape, rng.uniform(20, 235, 3).tolist(), -1)
    texture = cv2.resize(rng.normal(0, 12, (SIDE // 8, SIDE // 8)).astype(np.float32), (SIDE, SIDE))
    top, left = rng.integers(SIDE, size=2)
    image += texture[..., None] + noise[top : top + SIDE, left : left + SIDE]
    return np.clip(image, 0, 255).astype(np.uint8), labels


def run_once(verb: str, root: Path, workers: int) -> None:
    """Run one verb; print seconds, processor time and peak memory."""
    decoded, decode = [], cv2.imdecode

    def counted(*arguments: object, **options: object) -> object:
        decoded.append(1)
        return decode(*arguments, **options)

    cv2.imdecode = counted
    start = time.perf_counter()
    import limner

    options = {} if verb.startswith("plan") else {"workers": workers}
    getattr(limner, verb.split()[0])(root, **options)
    row = {"seconds": time.perf_counter() - start, "cpu": time.process_time(), "decoded": len(decoded)}
    print(json.dumps(row | {"gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))


def measured(verb: str, root: Path, workers: int, cache: Path) -> dict[str, float]:
    """Run `run_once` in a process of its own."""
    command = [sys.executable, __file__, "--verb", verb, "--folder", str(root), "--workers", str(workers)]
    environment = {**os.environ, "LIMNER_CACHE": str(cache)}
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(ran.stdout)


def report(root: Path, images: int, runs: int, workers: int) -> None:
    """Print a row for each verb."""
    rows: dict[str, list[dict[str, float]]] = {verb: [] for verb in VERBS}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(runs):
            for verb in VERBS:
                cache = Path(scratch) / verb.split()[0]
                if verb == verb.split()[0]:
                    shutil.rmtree(cache, ignore_errors=True)
                rows[verb].append(measured(verb, root, workers, cache))
    for verb, found in rows.items():
        middle = {key: statistics.median(row[key] for row in found) for key in found[0]}
        print(
            f"| {root.name} | {verb} | {middle['seconds']:.1f} | {images / middle['seconds']:.0f} "
            f"| {middle['cpu']:.1f} | {middle['gb']:.2f} | {middle['decoded']:.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--folder", type=Path, help="keep the made folders here, and take them if they are there"
    )
    parser.add_argument("--verb", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.verb:
        run_once(arguments.verb, arguments.folder, arguments.workers)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.folder or Path(scratch)) / str(arguments.images)
        if not folder.exists():
            make_sets(folder, arguments.images)
        print(
            "| images | verb | s | images/s | cpu s | GB | decoded |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            sep="\n",
        )
        for kind in ("png", "jpeg"):
            report(folder / kind, arguments.images, arguments.runs, arguments.workers)


if __name__ == "__main__":
    main()
