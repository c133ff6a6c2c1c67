"""A training step of DBNet by limner against a plain loop with the same network, taking turns in one run.

limner's step is the one that `limner train` takes (`Learner`). The plain loop is in float32, with AdamW; it
draws the targets word by word with shapely and OpenCV, as the authors' code does with pyclipper, and computes
the same three losses. Both draw the targets of every batch. The ratio is the median over rounds of limner's
time by the plain loop's.

    python benchmarks/text_detection.py           # 640x640, batch 4, ResNet-18; needs shapely
"""

import argparse
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import cv2
import numpy as np
import shapely
import torch
from accelerate import Accelerator
from torch.nn import functional as F
from training_step import plan_of
from turns import serve, take_turns

from limner.core.batch import Batch
from limner.core.plan import Plan
from limner.core.words import Words
from limner.devices.machine import cpu_has_bfloat16
from limner.devices.retained_memory import retain_freed_memory
from limner.networks import build_network
from limner.tasks import find_task
from limner.training.learner import Learner
from limner.weights.model import Model

WORDS = 12
"""Number of words in an image, as many as in ICDAR 2015."""


def words_of(seed: int, size: int) -> Words:
    """Rotated rectangles of 40 to 160 by 12 to 40 pixels."""
    rng = np.random.default_rng(seed)
    polygons = []
    for _ in range(WORDS):
        sides, angle = rng.uniform((40, 12), (160, 40)), rng.uniform(-30, 30)
        polygons.append(
            cv2.boxPoints((rng.uniform(0.15 * size, 0.85 * size, 2).tolist(), sides.tolist(), angle))
        )
    return Words(tuple(p.astype(np.float64) for p in polygons), (None,) * WORDS, np.zeros(WORDS, bool))


def text_plan(*, precision: str, size: int, batch: int) -> Plan:
    plan = plan_of("dbnet", {}, precision=precision, size=size, batch=batch).model_dump()
    plan["task"] = "text-detection"
    plan["data"]["labels"] = {"classes": [{"name": "text", "values": [1], "color": [0, 0, 0]}]}
    plan["loss"] = {"terms": [{"name": "differentiable_binarization"}]}
    return Plan.model_validate(plan)


def limner_step(plan: Plan, images: torch.Tensor, words: list[Words]) -> Callable[[], None]:
    half = {"float32": "no", "bfloat16": "bf16"}[plan.train.precision]
    learner = Learner(
        Model.from_plan(plan),
        plan=plan,
        criterion=find_task(plan.task).criterion(plan),
        accelerator=Accelerator(cpu=True, mixed_precision=half),
        say=print,
    )
    batch = Batch(
        images.contiguous(memory_format=torch.channels_last),
        tuple("abcdefgh"[: len(images)]),
        {Words: Words.stack(words)},
    )

    def step() -> None:
        result = learner.gradients(batch, step=1, factor=1.0)
        assert bool(result.is_finite())
        learner.apply(step=1)

    return step


def plain_targets(words: Words, size: int) -> list[np.ndarray]:
    """Return the cores, the thresholds, and where these are learned, word by word."""
    cores, above, near = (np.zeros((size, size), np.float32) for _ in range(3))
    for polygon in words.polygons:
        shape = shapely.Polygon(polygon)
        margin = shape.area * (1 - 0.4**2) / shape.length
        shrunk, grown = (
            np.array(shape.buffer(by).exterior.coords).astype(np.int32) for by in (-margin, margin)
        )
        cv2.fillPoly(cores, [shrunk], 1.0)
        cv2.fillPoly(near, [grown], 1.0)
        low = np.clip(grown.min(0), 0, size - 1)
        high = np.clip(grown.max(0), 0, size - 1) + 1
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        distance = np.full(x.shape, np.inf, np.float32)
        for start, end in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            way = end - start
            along = np.clip(((x - start[0]) * way[0] + (y - start[1]) * way[1]) / (way @ way), 0, 1)
            distance = np.minimum(
                distance, np.hypot(x - start[0] - along * way[0], y - start[1] - along * way[1])
            )
        window = above[low[1] : high[1], low[0] : high[0]]
        np.maximum(window, 1 - np.clip(distance / margin, 0, 1), out=window)
    return [cores, 0.3 + 0.4 * above, near]


def plain_step(images: torch.Tensor, words: list[Words]) -> Callable[[], None]:
    model = build_network("dbnet", num_classes=1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    mean = torch.tensor([124.0, 116.0, 104.0]).view(1, 3, 1, 1)
    std = torch.tensor([58.0, 57.0, 57.0]).view(1, 3, 1, 1)

    def step() -> None:
        drawn = np.stack([plain_targets(each, images.shape[2]) for each in words])
        cores, thresholds, near = torch.from_numpy(drawn).transpose(0, 1).unsqueeze(2)
        optimizer.zero_grad()
        found = model((images.float() - mean) / std)
        p, t = found.logits.sigmoid(), found.threshold_logits.sigmoid()
        binary = 1 / (1 + torch.exp(-50 * (p - t)))
        entropy = F.binary_cross_entropy(p, cores, reduction="none")
        num_cores = int(cores.sum())
        hardest = (entropy * (1 - cores)).flatten().topk(min(3 * num_cores, int((1 - cores).sum()))).values
        balanced = ((entropy * cores).sum() + hardest.sum()) / (num_cores + len(hardest))
        dice = 1 - 2 * (binary * cores).sum() / (binary.sum() + cores.sum() + 1e-6)
        loss = 5 * balanced + 10 * ((t - thresholds).abs() * near).sum() / near.sum() + dice
        loss.backward()
        optimizer.step()
        loss.item()

    return step


CONTESTANTS = ("plain", "float32", "bfloat16")
"""The last one only where the CPU computes in bfloat16 itself, as `limner train` decides too."""


def work(contestant: str, arguments: argparse.Namespace) -> None:
    """Be one contestant."""
    torch.set_num_threads(arguments.threads)
    size, batch = arguments.size, arguments.batch
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    words = [words_of(seed, size) for seed in range(batch)]
    memory: AbstractContextManager = nullcontext()
    if contestant == "plain":
        step = plain_step(images, words)
    else:
        plan = text_plan(precision=contestant, size=size, batch=batch)
        step, memory = limner_step(plan, images, words), retain_freed_memory()  # as `fit` does
    with memory:
        serve(step)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments)
        return
    contestants = CONTESTANTS[: 3 if cpu_has_bfloat16() else 2]
    options = [f"--{key}={getattr(arguments, key)}" for key in ("threads", "size", "batch")]
    commands = [[__file__, *options, f"--worker={contestant}"] for contestant in contestants]
    times = [[turn.seconds for turn in taken] for taken in take_turns(commands, rounds=arguments.rounds)]
    size, batch, threads = arguments.size, arguments.batch, arguments.threads
    print(f"DBNet R18, {size}x{size}, batch {batch}, {threads} threads, CPU\n")
    for contestant, seconds in zip(contestants, times, strict=True):
        ratio = statistics.median(b / a for a, b in zip(times[0], seconds, strict=True))
        print(f"{contestant:10} {statistics.median(seconds):6.2f} s  ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
