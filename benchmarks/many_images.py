"""Prediction of many images by several processes, and training data in tar archives.

    python benchmarks/many_images.py ledger   [--images 2000]     overhead of sharing the work
    python benchmarks/many_images.py two      [--images 20000]    two processes against one of one thread
    python benchmarks/many_images.py million  [--images 1000000]  time and memory to the first prediction
    python benchmarks/many_images.py kills    [--images 2000]     20 kills of the whole command at random
    python benchmarks/many_images.py archives [--images 4000]     reading from archives against files

The model is a narrow U-Net with random weights; images are noise of 256x256 as JPEG unless a part says
otherwise, and many are links to a few of them. `archives` reads each image and its mask once in a random
order, as training does; with ``--cold``, which needs root, the file cache is dropped before each pass.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from limner.core.labels import LabelClass, LabelTable
from limner.core.plan import DataPlan, InputPlan, NetworkPlan, OptimizerPlan, Plan, TrainPlan
from limner.weights.bundle import save_model
from limner.weights.model import Model

MOST_LINKS = 30_000
"""Of one file: ext4 ends at 65 000."""

LABELS = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("cell", (1,), (255, 0, 0))))


def make_model(folder: Path, widths: tuple[int, ...]) -> Path:
    """Write a model with random weights."""
    plan = Plan(
        data=DataPlan(path="data", format="paired-folders", num_images={}, labels=LABELS.to_dict()),
        network=NetworkPlan(name="unet", options={"widths": list(widths)}),
        input=InputPlan(channels=3, crop_size=(256, 256), mean=(100.0,) * 3, std=(50.0,) * 3),
        optimizer=OptimizerPlan(learning_rate=0.001),
        train=TrainPlan(steps=1, batch_size=1, validate_every=1, save_every=1),
    )
    save_model(folder, Model.from_plan(plan).eval(), origin={})
    return folder


def make_images(
    folder: Path, count: int, *, size: int = 256, suffix: str = ".jpg", distinct: int = 64
) -> Path:
    """Write images, all but the first `distinct` of which are links; return a list of them."""
    assert count <= distinct * MOST_LINKS
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    blocks = max(1, size // 8)
    for number in range(count):
        path = folder / f"{number:07d}{suffix}"
        if number < distinct:
            small = rng.integers(0, 256, (blocks, blocks, 3), dtype=np.uint8)
            cv2.imwrite(str(path), cv2.resize(small, (size, size)))
        else:
            os.link(folder / f"{number % distinct:07d}{suffix}", path)
    lines = folder.parent / f"{folder.name}.txt"
    lines.write_text("".join(f"{folder.name}/{number:07d}{suffix}\n" for number in range(count)), "utf-8")
    return lines


def command(model: Path, images: Path, out: Path, *words: str) -> list[str]:
    """Return the words of a prediction without overlays."""
    start = [sys.executable, "-m", "limner", "predict", str(model), str(images), "--out", str(out)]
    return [*start, "--no-overlay", "--device", "cpu", *words]


def seconds(words: list[str], threads: int | None) -> float:
    """Return the wall time of a command."""
    environment = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    began = time.perf_counter()
    subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def ledger(root: Path, num_images: int, rounds: int) -> None:
    """Compare one process that works alone with one that shares, in turns."""
    model, images = make_model(root / "model", (8, 16, 32)), make_images(root / "images", num_images)
    times: dict[str, list[float]] = {"alone": [], "shared": []}
    for number in range(rounds):
        for name, words in (("alone", ()), ("shared", ("--processes", "1"))):
            out = root / f"{name}{number}"
            times[name].append(seconds(command(model, images, out, *words), 1))
    alone, shared = (statistics.median(times[name]) for name in ("alone", "shared"))
    print(
        f"{num_images} images, one thread, medians of {rounds} rounds in turns: alone {alone:.1f} s, "
        f"shared {shared:.1f} s, overhead {100 * (shared / alone - 1):.1f} % (goal: at most 2 %)"
    )


def two(root: Path, num_images: int) -> None:
    """Compare two processes with one of one thread."""
    model, images = make_model(root / "model", (8, 16, 32)), make_images(root / "images", num_images)
    one = seconds(command(model, images, root / "one"), 1)
    both = seconds(command(model, images, root / "two", "--processes", "2"), 1)
    masks = [sorted((root / name / "masks").iterdir()) for name in ("one", "two")]
    is_same = all(a.read_bytes() == b.read_bytes() for a, b in zip(*masks, strict=True))
    print(
        f"{num_images} images of 256x256: one process {one:.0f} s, two {both:.0f} s, ratio "
        f"{one / both:.2f} (goal: 1.8); the masks are {'the same' if is_same else 'DIFFERENT'}"
    )


def million(root: Path, num_images: int) -> None:
    """Measure the time until the first mask, and the peak of the memory until then and a minute after."""
    import psutil

    model = make_model(root / "model", (4, 6))
    images = make_images(root / "images", num_images, size=8, suffix=".png")
    out, began, first, peak = root / "out", time.perf_counter(), None, 0
    process = subprocess.Popen(
        command(model, images, out, "--processes", "1"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    watched = psutil.Process(process.pid)
    while process.poll() is None and (first is None or time.perf_counter() - began < first + 60):
        peak = max(peak, watched.memory_info().rss)
        if first is None and (out / "masks").is_dir() and any((out / "masks").iterdir()):
            first = time.perf_counter() - began
        time.sleep(0.05)
    process.kill()
    process.wait()
    size = images.stat().st_size / 1e6
    print(
        f"{num_images} images in a list of {size:.0f} MB: first prediction after {first or -1:.1f} s "
        f"(goal: 60), peak memory {peak / 1e9:.2f} GB (goal: 1)"
    )


def kills(root: Path, num_images: int) -> None:
    """Kill the command at random moments until 20 kills, and compare the result with an uninterrupted one."""
    model, images = make_model(root / "model", (8, 16, 32)), make_images(root / "images", num_images)
    seconds(command(model, images, root / "whole"), 1)
    draw, words = random.Random(0), command(model, images, root / "out", "--processes", "2")
    for _ in range(20):
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(draw.uniform(4.0, 9.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        print(f"killed with {sum(1 for _ in (root / 'out').rglob('*.png'))} masks", flush=True)
    seconds(words, 1)
    whole, killed = (
        {path.name: path.read_bytes() for path in (root / name / "masks").iterdir()}
        for name in ("whole", "out")
    )
    print(f"20 kills: {len(killed)} of {len(whole)} masks, {'the same' if whole == killed else 'DIFFERENT'}")


def archives(root: Path, num_images: int, rounds: int, *, cold: bool) -> None:
    """Compare reading images and masks from archives with reading their files, in turns."""
    import limner
    from limner.formats import open_source

    data = root / "data"
    make_images(data / "images", num_images, distinct=num_images)
    (data / "images.txt").unlink()
    make_images(data / "masks", num_images, suffix=".png", distinct=num_images)
    (data / "masks.txt").unlink()
    for path in (data / "masks").iterdir():
        mask = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 128).astype(np.uint8)
        cv2.imwrite(str(path), mask)
    (data / "dataset.yaml").write_text("classes: [background, cell]\n", "utf-8")
    limner.convert(data, root / "archives", to="webdataset")
    sources = {"files": open_source(data), "archives": open_source(root / "archives")}
    order = np.random.default_rng(0).permutation(num_images)
    times: dict[str, list[float]] = {name: [] for name in sources}
    for _ in range(rounds):
        for name, source in sources.items():
            if cold:
                os.sync()
                Path("/proc/sys/vm/drop_caches").write_text("3\n")
            began = time.perf_counter()
            for place in order:
                source.read_image(source.records[place])
                source.read_values(source.records[place])
            times[name].append(time.perf_counter() - began)
    files, tars = (num_images / statistics.median(times[name]) for name in sources)
    print(
        f"{num_images} images and masks, {'cold' if cold else 'warm'}, one thread, medians of {rounds} "
        f"rounds in turns: files {files:.0f}/s, archives {tars:.0f}/s, ratio {tars / files:.2f} (goal: 1)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("ledger", "two", "million", "kills", "archives"))
    parser.add_argument("--images", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument(
        "--folder", type=Path, help="where the images are made; by default a temporary folder"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        root = Path(folder)
        if given.part == "ledger":
            ledger(root, given.images or 2000, given.rounds)
        elif given.part == "two":
            two(root, given.images or 20_000)
        elif given.part == "million":
            million(root, given.images or 1_000_000)
        elif given.part == "kills":
            kills(root, given.images or 2000)
        else:
            archives(root, given.images or 4000, given.rounds, cold=given.cold)


if __name__ == "__main__":
    main()
