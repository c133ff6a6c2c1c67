"""A training step, and the accuracy from scratch, of an image classifier: limner against a plain timm loop.

    python benchmarks/classification.py step [--rounds 9] [--batch 32] [--side 224]
    python benchmarks/classification.py accuracy DATA [--minutes 3] [--seeds 3]

`step` lets both take turns, each in a process of its own, with ResNet-18, AdamW and cross-entropy on random
images; the ratio is the median over rounds of limner's time by timm's. The first row is what each does unless
told otherwise: limner in bfloat16, where `limner train` chooses it, and the plain loop in float32.
`accuracy` trains ResNet-18 from scratch for the same time on class folders (`DATA/train`, `DATA/val`): limner
as `limner train` does, timm with its own random-resized crops, flips, colour jitter and cosine schedule; each
line is the accuracy on the validation images. Give it the machine alone.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from turns import serve, take_turns

NUM_CLASSES = 100
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def limner_step(batch: int, side: int, precision: str) -> Callable[[], None]:
    from accelerate import Accelerator

    from limner.core.batch import Batch
    from limner.core.image_class import ImageClass
    from limner.core.plan import Plan
    from limner.devices.retained_memory import retain_freed_memory
    from limner.tasks import find_task
    from limner.training.learner import Learner
    from limner.weights.model import Model

    retain_freed_memory().__enter__()
    classes = [{"name": f"c{i}", "values": [i], "color": [i, i, i]} for i in range(NUM_CLASSES)]
    values = {
        "task": "classification",
        "data": {"path": ".", "format": "none", "num_images": {}, "labels": {"classes": classes}},
        "network": {"name": "classifier", "options": {"backbone": "resnet18"}},
        "input": {"channels": 3, "crop_size": (side, side), "mean": MEAN, "std": STD},
        "optimizer": {"learning_rate": 1e-3},
        "train": {
            "steps": 100,
            "batch_size": batch,
            "validate_every": 100,
            "save_every": 100,
            "precision": precision,
        },
    }
    plan = Plan.model_validate(values)
    half = {"float32": "no", "bfloat16": "bf16"}[precision]
    learner = Learner(
        Model.from_plan(plan),
        plan=plan,
        criterion=find_task("classification").criterion(plan),
        accelerator=Accelerator(cpu=True, mixed_precision=half),
        say=print,
    )
    images, labels = examples(batch, side)
    ready = Batch(
        images.contiguous(memory_format=torch.channels_last),
        tuple(str(i) for i in range(batch)),
        {ImageClass: labels},
    )

    def step() -> None:
        result = learner.gradients(ready, step=1, factor=1.0)
        assert bool(result.is_finite())
        learner.apply(step=1)

    return step


def timm_step(batch: int, side: int, precision: str) -> Callable[[], None]:
    """A plain loop: normalise, forward, cross-entropy, backward, clip, AdamW, loss.item()."""
    import timm

    model = timm.create_model("resnet18", num_classes=NUM_CLASSES).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    images, labels = examples(batch, side)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))

    def step() -> None:
        optimizer.zero_grad()
        autocast = torch.autocast("cpu", torch.bfloat16) if precision == "bfloat16" else nullcontext()
        with autocast:
            logits = model((images.float() - mean) / std)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        loss.item()

    return step


def examples(batch: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, side, side), generator=generator, dtype=torch.uint8)
    return images, torch.randint(0, NUM_CLASSES, (batch,), generator=generator)


def compare_steps(arguments: argparse.Namespace) -> None:
    print("| precision | limner s | timm s | ratio |\n|---|---|---|---|")
    for precisions in (("bfloat16", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16")):
        size = ["--batch", str(arguments.batch), "--side", str(arguments.side)]
        pairs = zip(("limner", "timm"), precisions, strict=True)
        commands = [[__file__, "serve", who, "--precision", precision, *size] for who, precision in pairs]
        ours, theirs = take_turns(commands, rounds=arguments.rounds)
        ratios = [a.seconds / b.seconds for a, b in zip(ours, theirs, strict=True)]
        medians = [statistics.median(turn.seconds for turn in turns) for turns in (ours, theirs)]
        ratio = statistics.median(ratios)
        print(f"| {' and '.join(precisions)} | {medians[0]:.3f} | {medians[1]:.3f} | {ratio:.2f} |")


def limner_accuracy(data: Path, minutes: float, seed: int) -> float:
    import json

    import limner

    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "network": {"name": "classifier", "options": {"backbone": "resnet18"}, "pretrained": "no"},
            "train": {"seed": seed},
        }
        run = limner.train(data, run=Path(folder) / "run", minutes=minutes, settings=settings, device="cpu")
        return float(json.loads((run.evaluation("val") / "scores.json").read_text())["accuracy"])


def timm_accuracy(data: Path, minutes: float, seed: int) -> float:
    """Timm's own transforms and data set; AdamW with a cosine schedule over the time; the last weights."""
    import timm
    from timm.data import create_dataset, create_transform

    torch.manual_seed(seed)
    model = timm.create_model("resnet18", num_classes=2).train()
    train = create_dataset("", root=str(data / "train"))
    train.transform = create_transform(128, is_training=True)
    val = create_dataset("", root=str(data / "val"))
    val.transform = create_transform(128, is_training=False)
    loader = torch.utils.data.DataLoader(train, batch_size=32, shuffle=True, num_workers=1, drop_last=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    began, seconds = time.perf_counter(), 60 * minutes
    while (passed := time.perf_counter() - began) < seconds:
        for images, labels in loader:
            for group in optimizer.param_groups:
                group["lr"] = 0.5e-3 * (1 + math.cos(math.pi * min(passed / seconds, 1)))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            passed = time.perf_counter() - began
            if passed > seconds:
                break
    model.eval()
    with torch.inference_mode():
        right = [int(model(image[None]).argmax()) == label for image, label in val]
    return sum(right) / len(right)


def compare_accuracies(arguments: argparse.Namespace) -> None:
    print("| seed | limner | timm |\n|---|---|---|")
    for seed in range(arguments.seeds):
        ours = limner_accuracy(arguments.data, arguments.minutes, seed)
        theirs = timm_accuracy(arguments.data, arguments.minutes, seed)
        print(f"| {seed} | {ours:.3f} | {theirs:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    steps, served = verbs.add_parser("step"), verbs.add_parser("serve")
    steps.add_argument("--rounds", type=int, default=9)
    served.add_argument("who", choices=("limner", "timm"))
    served.add_argument("--precision", default="float32")
    for each in (steps, served):
        each.add_argument("--batch", type=int, default=32)
        each.add_argument("--side", type=int, default=224)
    accuracy = verbs.add_parser("accuracy")
    accuracy.add_argument("data", type=Path)
    accuracy.add_argument("--minutes", type=float, default=3.0)
    accuracy.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.verb == "serve":
        made = {"limner": limner_step, "timm": timm_step}[arguments.who]
        serve(made(arguments.batch, arguments.side, arguments.precision))
    elif arguments.verb == "step":
        compare_steps(arguments)
    else:
        compare_accuracies(arguments)


if __name__ == "__main__":
    sys.exit(main())
