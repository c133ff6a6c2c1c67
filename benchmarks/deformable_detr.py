"""A training step of Deformable DETR: time and memory of limner's against transformers'.

The same network (ResNet-50, 300 queries, 6 and 6 layers, 80 classes, losses of all decoder layers) on images
with 10 boxes each. A step is forward, loss and backward, without the optimizer, which is PyTorch's in both;
memory is how far the process rises above what it held with the weights alone. Contestants take turns; ratios
are limner's by the peer's.

    .venv-peers/bin/python benchmarks/deformable_detr.py [--rounds 5] [--size 512] [--batch 2]
"""

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial

import torch
from turns import ratio_cells, serve, take_turns

from limner.core.box_geometry import as_corners
from limner.core.boxes import BoxTargets
from limner.devices.convolution_layout import choose_memory_format, prefers_winograd
from limner.devices.machine import cpu_has_bfloat16
from limner.devices.retained_memory import retain_freed_memory
from limner.layers.freezing import freeze
from limner.layers.winograd import use_winograd
from limner.losses.box_set import BoxSetLoss
from limner.networks import build_network
from limner.training.step import in_float32

CLASSES, BOXES = 80, 10

FROZEN = ("backbone.conv1", "backbone.layer1")

Step = Callable[[], None]
Truth = Sequence[tuple[torch.Tensor, torch.Tensor]]
"""Middle and size (N, 4) of an image's boxes, as fractions of the image, and their labels (N,)."""


def boxes(batch: int) -> Truth:
    """Return random boxes of a twentieth to three tenths of the image."""
    drawn = [(torch.rand(BOXES, 2) * 0.7 + 0.15, torch.rand(BOXES, 2) * 0.25 + 0.05) for _ in range(batch)]
    return [(torch.cat(pair, 1), torch.randint(0, CLASSES, (BOXES,))) for pair in drawn]


def train_limner(images: torch.Tensor, truth: Truth, *, is_half: bool = False) -> Step:
    layout = choose_memory_format(torch.device("cpu"), spatial_dims=2, training=True)
    network = build_network("deformable-detr", num_classes=CLASSES, pretrained="no").train()
    freeze(network, FROZEN)  # transformers and the recipe freeze the same, and all batch normalisations
    network, images = network.to(memory_format=layout), images.contiguous(memory_format=layout)
    if prefers_winograd(torch.device("cpu")):
        use_winograd(network)
    height, width = images.shape[2:]
    scale, nothing = torch.tensor([width, height] * 2), torch.zeros(BOXES, dtype=torch.bool)
    targets = [BoxTargets(as_corners(box) * scale, label, nothing) for box, label in truth]
    loss_of = BoxSetLoss()

    def step() -> None:
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            outputs = network(images)
        sum(loss_of(in_float32(outputs), targets, (height, width)).values()).backward()

    return step


def train_transformers(images: torch.Tensor, truth: Truth) -> Step:
    import transformers

    backbone = transformers.ResNetConfig(out_features=["stage2", "stage3", "stage4"])
    settings = transformers.DeformableDetrConfig(
        backbone_config=backbone, use_timm_backbone=False, num_labels=CLASSES, auxiliary_loss=True
    )
    network = transformers.DeformableDetrForObjectDetection(settings).train()
    rows = [{"class_labels": label, "boxes": box} for box, label in truth]

    def step() -> None:
        network.zero_grad()
        network(images, labels=rows).loss.backward()

    return step


CONTESTANTS = {
    "limner": train_limner,
    "limner, bfloat16": partial(train_limner, is_half=True),
    "transformers": train_transformers,
}


def work(contestant: str, arguments: argparse.Namespace) -> None:
    """Be one contestant."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    images = torch.randn(arguments.batch, 3, arguments.size, arguments.size)
    step = CONTESTANTS[contestant](images, boxes(arguments.batch))
    # As `limner train` does.
    with nullcontext() if contestant == "transformers" else retain_freed_memory():
        serve(step)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("rounds", 5), ("threads", 2), ("size", 512), ("batch", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments)
        return
    options = [f"--{key}={getattr(arguments, key)}" for key in ("threads", "size", "batch")]
    print("| precision, the peer in float32 | limner | transformers | time | memory |\n" + "| --- " * 5 + "|")
    for ours in ("limner", "limner, bfloat16") if cpu_has_bfloat16() else ("limner",):
        commands = [[__file__, *options, f"--worker={name}"] for name in (ours, "transformers")]
        cells = ratio_cells(take_turns(commands, rounds=arguments.rounds))
        print(f"| {'bfloat16' if 'bfloat16' in ours else 'float32'} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
