"""The input pipeline against decoding alone and against mmsegmentation's, on 2048x1024 PNG pairs.

    python benchmarks/input_pipeline.py --peer-python /path/with/mmsegmentation/bin/python

Both sides do the same work: read image and labels, zoom by 0.5-2.0, crop 512x1024 (no class above 75 %),
flip, photometric changes. limner's side also stacks the samples into batches. One thread each; the rounds
of all contestants take turns, so that a busy machine slows all of them, and the medians are shown.
``--changes`` adds a row with gamma, noise, blur, low resolution and JPEG, which mmsegmentation's side lacks.
``--clock cpu`` counts processor time instead, and leaves out the rows with several threads. The pairs are
made: shapes and gradients under sensor noise, so that a PNG has about the size of a street scene's and takes
as long to decode.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch start their threads

import cv2
import numpy as np
from openmmlab import stand_in_for_compiled_operators

HEIGHT, WIDTH, NUM_CLASSES = 1024, 2048, 19
CROP = (512, 1024)
BATCH_SIZE = 4


def make_pairs(folder: Path, count: int) -> None:
    """Write `count` PNG pairs: gradients and shapes, soft texture, a little sensor noise."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        labels = np.full((HEIGHT, WIDTH), 0, np.uint8)
        rows = np.linspace(150, 90, HEIGHT)[:, None, None] + np.array([0, 6, 14])
        image = np.broadcast_to(rows, (HEIGHT, WIDTH, 3)).astype(np.float32).copy()
        for _ in range(150):
            center = (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)))
            axes = (int(rng.integers(8, 220)), int(rng.integers(8, 120)))
            shape = (center, axes, float(rng.integers(180)), 0, 360)
            cv2.ellipse(labels, *shape, int(rng.integers(NUM_CLASSES)), -1)
            cv2.ellipse(image, *shape, rng.uniform(20, 235, 3).tolist(), -1)
        texture = cv2.resize(rng.normal(0, 12, (HEIGHT // 8, WIDTH // 8)).astype(np.float32), (WIDTH, HEIGHT))
        noise = rng.normal(0, 0.9, image.shape).astype(np.float32)
        image = np.clip(image + texture[..., None] + noise, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"{number:03}.png"), image)
        cv2.imwrite(str(folder / "masks" / f"{number:03}.png"), labels)


CLOCKS = {"wall": perf_counter, "cpu": process_time}


def seconds(work: Callable[[], object], clock: str) -> float:
    """Return how long `work` takes."""
    now = CLOCKS[clock]
    started = now()
    work()
    return now() - started


class Ours:
    """limner's contestants; each method handles every pair once."""

    def __init__(self, folder: Path, clock: str) -> None:
        from limner.core.augment_plan import AugmentPlan
        from limner.core.labels import LabelClass, LabelTable, distinct_color
        from limner.core.plan import InputPlan
        from limner.formats import open_source
        from limner.loading.pipeline import build_pipeline

        self.clock = clock
        self.source = open_source(folder)
        self.labels = LabelTable(
            tuple(LabelClass(f"class {i}", (i,), distinct_color(i)) for i in range(NUM_CLASSES)), (255,)
        )
        augment = AugmentPlan(scale=(0.5, 2.0), flip_axes=(1,), category_max_ratio=0.75)
        plan = InputPlan(channels=3, crop_size=CROP, mean=(128, 128, 128), std=(60, 60, 60))
        self.pipeline = build_pipeline(augment, plan, self.labels)
        more = {"gamma": (0.7, 1.5), "noise": 0.1, "blur": 1.0, "low_resolution": 0.5, "jpeg": 30}
        self.changing = build_pipeline(augment.model_copy(update=more), plan, self.labels)
        self.round = 0
        self.warm = self._dataset()
        self._pass(self.warm)

    def _dataset(self):
        from limner.loading.dataset import Dataset
        from limner.loading.image_cache import MemoryCache

        return Dataset(self.source, self.source.records, self.labels, cache=MemoryCache(8 << 30))

    def _pass(self, dataset, workers: int = 0, pipeline=None) -> float:
        from limner.loading.loader import training_batches

        self.round += 1
        steps = len(dataset) // BATCH_SIZE
        with training_batches(
            dataset,
            pipeline or self.pipeline,
            batch_size=BATCH_SIZE,
            seed=0,
            first_step=self.round * steps,
            workers=workers,
        ) as batches:
            return seconds(lambda: [next(batches) for _ in range(steps)], self.clock)

    def opencv(self) -> float:
        """OpenCV's imread of image and mask."""

        def read(record) -> None:
            cv2.imread(str(record.image))
            cv2.imread(str(record.labels[0]), cv2.IMREAD_UNCHANGED)

        return seconds(lambda: [read(r) for r in self.source.records], self.clock)

    def decoding(self) -> float:
        """Our own readers, which check the files too."""

        def read(record) -> None:
            self.source.read_image(record)
            self.source.read_values(record)

        return seconds(lambda: [read(r) for r in self.source.records], self.clock)

    def first_pass(self, workers: int = 0) -> float:
        """Everything, with nothing in the cache."""
        return self._pass(self._dataset(), workers)

    def later_pass(self, workers: int = 0) -> float:
        """Everything, from the cache."""
        return self._pass(self.warm, workers)

    def changing_pass(self) -> float:
        """Everything, from the cache, with changes of values."""
        return self._pass(self.warm, pipeline=self.changing)


class Peer:
    """mmsegmentation in its own interpreter; a line on its input is a round, a line back its seconds."""

    def __init__(self, python: str, folder: Path, clock: str) -> None:
        self.process = subprocess.Popen(
            [python, __file__, "--clock", clock, "--serve-peer", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        )
        self.version = json.loads(self.process.stdout.readline())

    def round(self, workers: int = 0) -> float:
        """Return the seconds of one pass over all pairs."""
        self.process.stdin.write(f"{workers}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """End the other interpreter."""
        self.process.stdin.close()
        self.process.wait()


def import_mmsegmentation():
    """Import mmsegmentation without compiled operators, which its input pipeline does not use."""
    version = stand_in_for_compiled_operators()
    import mmseg
    import mmseg.datasets.transforms

    return f"mmsegmentation {mmseg.__version__}, mmcv {version}"


def peer_pipeline():
    """Return mmsegmentation's training pipeline as its Cityscapes configuration has it."""
    from mmcv.transforms import Compose
    from mmengine.registry import init_default_scope

    init_default_scope("mmseg")
    return Compose(
        [
            {"type": "LoadImageFromFile"},
            {"type": "LoadAnnotations"},
            {
                "type": "RandomResize",
                "scale": (WIDTH, HEIGHT),
                "ratio_range": (0.5, 2.0),
                "keep_ratio": True,
            },
            {"type": "RandomCrop", "crop_size": CROP, "cat_max_ratio": 0.75},
            {"type": "RandomFlip", "prob": 0.5},
            {"type": "PhotoMetricDistortion"},
            {"type": "PackSegInputs"},
        ]
    )


def serve_peer(folder: Path, clock: str) -> None:
    """Run rounds on demand; what runs here is the peer's interpreter, which has no limner."""
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    answer = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    version = import_mmsegmentation()
    pipeline = peer_pipeline()
    names = sorted(p.name for p in (folder / "images").iterdir())
    rows = [
        {
            "img_path": str(folder / "images" / name),
            "seg_map_path": str(folder / "masks" / name),
            "reduce_zero_label": False,
            "seg_fields": [],
        }
        for name in names
    ]

    class Pairs(torch.utils.data.Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, index):
            return pipeline(dict(rows[index]))

    def in_processes(workers: int) -> float:
        loader = torch.utils.data.DataLoader(
            Pairs(), BATCH_SIZE, num_workers=workers, collate_fn=list, persistent_workers=True
        )
        list(loader)  # the processes start
        return seconds(lambda: list(loader), clock)

    def one_by_one() -> None:
        for row in rows:
            pipeline(dict(row))

    print(json.dumps(version), file=answer, flush=True)
    for line in sys.stdin:
        workers = int(line)
        taken = in_processes(workers) if workers else seconds(one_by_one, clock)
        print(taken, file=answer, flush=True)


def measure(
    folder: Path, peer: Peer | None, *, rounds: int, threads: int, clock: str, changes: bool
) -> dict[str, list[float]]:
    """Return the seconds of each round of each contestant, taking turns."""
    ours = Ours(folder, clock)
    contestants: dict[str, Callable[[], float]] = {
        "OpenCV's imread": ours.opencv,
        "limner, decoding alone": ours.decoding,
        "limner, first pass": ours.first_pass,
        "limner, later passes": ours.later_pass,
    }
    if changes:
        contestants["limner, later passes, values changed"] = ours.changing_pass
    if peer is not None:
        contestants["mmsegmentation"] = peer.round
    if clock == "wall":
        contestants[f"limner, first pass, {threads} threads"] = lambda: ours.first_pass(threads)
        contestants[f"limner, later passes, {threads} threads"] = lambda: ours.later_pass(threads)
        if peer is not None:
            contestants[f"mmsegmentation, {threads} processes"] = lambda: peer.round(threads)
    for work in contestants.values():
        work()  # files into the page cache, code into memory
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            taken[name].append(work())
    return taken


def table(taken: dict[str, list[float]], num_pairs: int) -> str:
    """Return the medians as a markdown table."""
    medians = {name: statistics.median(rounds) / num_pairs * 1e3 for name, rounds in taken.items()}
    decoding, peer = medians["limner, decoding alone"], medians.get("mmsegmentation")
    lines = ["| one thread unless said | ms a pair | spread | of decoding alone | of mmsegmentation |"]
    lines.append("|---|---|---|---|---|")
    for name, ms in medians.items():
        low, high = (f(taken[name]) / num_pairs * 1e3 for f in (min, max))
        against = f"{peer / ms:.2f} x" if peer else ""
        lines.append(f"| {name} | {ms:.2f} | {low:.2f}-{high:.2f} | {decoding / ms:.2f} x | {against} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="an interpreter with mmsegmentation")
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--changes", action="store_true", help="a row with more changes of values")
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    parser.add_argument("--serve-peer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_peer:
        serve_peer(options.serve_peer, options.clock)
        return
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pairs(folder, options.pairs)
        size = statistics.mean(p.stat().st_size for p in (folder / "images").iterdir())
        peer = Peer(options.peer_python, folder, options.clock) if options.peer_python else None
        taken = measure(
            folder,
            peer,
            rounds=options.rounds,
            threads=options.threads,
            clock=options.clock,
            changes=options.changes,
        )
        if peer is not None:
            peer.close()
    print(table(taken, options.pairs))
    versions = f"OpenCV {cv2.__version__}" + (f", {peer.version}" if peer else "")
    print(
        f"\n{options.pairs} pairs of {WIDTH}x{HEIGHT}, images of {size / 1e6:.1f} MB; "
        f"medians of {options.rounds} rounds, {options.clock} time; {versions}."
    )


if __name__ == "__main__":
    main()
