"""Accuracy for the same time: `limner train` against a plain segmentation_models_pytorch loop.

The data is a folder of one mask an instance (BBBC038 / DSB 2018). limner runs as a user would run it, with
no option but --minutes, in a process of its own. The peer then trains on the very same images for the very
same time: a U-Net on ResNet-18 from scratch, AdamW, Dice + BCE, flips and quarter turns, batches of 8 crops
of 256x256 held in memory, float32, its learning rate falling along a cosine. Both are scored on the same
validation images at full size by the pooled Dice of the foreground.

    python benchmarks/nuclei_accuracy.py DATA --minutes 3
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from limner.core.run_folder import RunFolder
from limner.formats import open_source
from limner.preparation.run_splits import read_splits

CROP, BATCH = 256, 8

Pair = tuple[np.ndarray, np.ndarray]
"""An (H, W, 3) uint8 image and its (H, W) mask of 0 and 1."""


def train_peer(
    pairs: list[Pair], *, seconds: float, learning_rate: float, seed: int
) -> tuple[nn.Module, int]:
    import segmentation_models_pytorch as smp

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = smp.Unet("resnet18", encoder_weights=None, classes=1).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    dice = smp.losses.DiceLoss("binary")
    steps, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * passed / seconds))
        images, masks = zip(
            *(augmented_crop(pairs[rng.integers(len(pairs))], rng) for _ in range(BATCH)), strict=True
        )
        x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(255)
        y = torch.from_numpy(np.stack(masks)).float().unsqueeze(1)
        optimizer.zero_grad()
        logits = model(x)
        loss = dice(logits, y) + F.binary_cross_entropy_with_logits(logits, y)
        loss.backward()
        optimizer.step()
        steps += 1
    return model.eval(), steps


def augmented_crop(pair: Pair, rng: np.random.Generator) -> Pair:
    image, mask = (cv2.copyMakeBorder(a, 0, *_missing(a), cv2.BORDER_REFLECT_101) for a in pair)
    top, left = (int(rng.integers(length - CROP + 1)) for length in mask.shape)
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    cut = (np.rot90(a[top : top + CROP, left : left + CROP], turns) for a in (image, mask))
    image, mask = (a[:, ::-1] if mirrored else a for a in cut)
    return image.copy(), mask.copy()


def _missing(array: np.ndarray) -> tuple[int, int, int]:
    height, width = array.shape[:2]
    return max(0, CROP - height), 0, max(0, CROP - width)


def peer_dice(model: nn.Module, pairs: list[Pair]) -> float:
    both = either = 0
    with torch.inference_mode():
        for image, mask in pairs:
            height, width = mask.shape
            padded = cv2.copyMakeBorder(image, 0, -height % 32, 0, -width % 32, cv2.BORDER_REFLECT_101)
            x = torch.from_numpy(padded).permute(2, 0, 1)[None].float().div(255)
            predicted = (model(x)[0, 0, :height, :width] > 0).numpy()
            both += int((predicted & (mask == 1)).sum())
            either += int(predicted.sum() + mask.sum())
    return 2 * both / either


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[1e-3], help="learning rates the peer tries"
    )
    parser.add_argument("--limner", default="", help="the limner command, if it is in another environment")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    command = arguments.limner or str(Path(sys.executable).with_name("limner"))
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        subprocess.run(
            [
                command,
                "train",
                str(arguments.data),
                "--minutes",
                str(arguments.minutes),
                "--run",
                str(run.root),
            ],
            check=True,
        )
        scores = json.loads((run.evaluation("val") / "scores.json").read_text(encoding="utf-8"))
        source = open_source(arguments.data)
        splits = read_splits(run, source)
    print("\n| trained for the same time | steps | pooled foreground Dice |\n| --- | --- | --- |")
    print(
        f"| limner train --minutes {arguments.minutes:g} | - | {scores['foreground_dice']:.4f} |", flush=True
    )
    train, val = (
        [(source.read_image(r).array, (source.read_values(r) > 0).astype(np.uint8)) for r in splits[name]]
        for name in ("train", "val")
    )
    for rate in arguments.rates:
        model, steps = train_peer(train, seconds=60 * arguments.minutes, learning_rate=rate, seed=0)
        score = peer_dice(model, val)
        print(f"| segmentation_models_pytorch, learning rate {rate:g} | {steps} | {score:.4f} |", flush=True)


if __name__ == "__main__":
    main()
