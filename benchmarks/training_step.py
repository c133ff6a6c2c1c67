"""A training step of limner against the peers', on the same network, taking turns in one run.

limner's step is the one that `limner train` takes (`Learner`): normalisation, network, loss, gradient,
optimizer. The peer's is the plain loop that its documentation shows, in float32. Rounds are interleaved,
so that a machine that drifts slows both; the ratio is the median over rounds of limner's time by the peer's.

    python benchmarks/training_step.py            # in the environment of benchmarks/requirements.txt
"""

import argparse
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from openmmlab import stand_in_for_compiled_operators
from turns import serve, take_turns

from limner.core.batch import Batch
from limner.core.label_map import LabelMap
from limner.core.plan import Plan
from limner.devices.machine import cpu_has_bfloat16
from limner.devices.retained_memory import retain_freed_memory
from limner.tasks import find_task
from limner.training.learner import Learner
from limner.weights.model import Model

NUM_CLASSES = 19


def plan_of(network: str, options: dict, *, precision: str, size: int, batch: int) -> Plan:
    classes = [{"name": f"c{i}", "values": [i], "color": [i, i, i]} for i in range(NUM_CLASSES)]
    return Plan.model_validate(
        {
            "data": {"path": ".", "format": "none", "num_images": {}, "labels": {"classes": classes}},
            "network": {"name": network, "options": options},
            "input": {
                "channels": 3,
                "crop_size": (size, size),
                "mean": (124.0, 116.0, 104.0),
                "std": (58.0, 57.0, 57.0),
            },
            "optimizer": {"learning_rate": 1e-4},
            "train": {
                "steps": 100,
                "batch_size": batch,
                "validate_every": 100,
                "save_every": 100,
                "precision": precision,
            },
        }
    )


def limner_step(plan: Plan, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    AcceleratorState._reset_state(reset_partial_state=True)
    half = {"float32": "no", "bfloat16": "bf16"}[plan.train.precision]
    learner = Learner(
        Model.from_plan(plan),
        plan=plan,
        criterion=find_task("semantic").criterion(plan),
        accelerator=Accelerator(cpu=True, mixed_precision=half),
        say=print,
    )
    # As the loader gives them: channels-last uint8.
    batch = Batch(
        images.contiguous(memory_format=torch.channels_last),
        tuple("abcdefgh"[: len(images)]),
        {LabelMap: labels.to(torch.uint8)},
    )

    def step() -> None:
        result = learner.gradients(batch, step=1, factor=1.0)
        assert bool(result.is_finite())
        learner.apply(step=1)

    return step


def plain_step(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """The loop of segmentation_models_pytorch's examples: float32, AdamW, cross-entropy, loss.item()."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    loss_of = torch.nn.CrossEntropyLoss(ignore_index=255)
    mean = torch.tensor([124.0, 116.0, 104.0]).view(1, 3, 1, 1)
    std = torch.tensor([58.0, 57.0, 57.0]).view(1, 3, 1, 1)

    def step() -> None:
        optimizer.zero_grad()
        loss = loss_of(model((images.float() - mean) / std), labels)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def mmseg_step(images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """Mmsegmentation's PSPNet R18-d8 with its own preprocessor, heads and losses."""
    stand_in_for_compiled_operators()
    from mmengine.structures import PixelData
    from mmseg.models import build_segmentor
    from mmseg.structures import SegDataSample
    from mmseg.utils import register_all_modules

    register_all_modules()
    norm = {"type": "BN", "requires_grad": True}
    loss = {"type": "CrossEntropyLoss", "use_sigmoid": False}
    model = build_segmentor(
        {
            "type": "EncoderDecoder",
            "data_preprocessor": {
                "type": "SegDataPreProcessor",
                "mean": [124.0, 116.0, 104.0],
                "std": [58.0, 57.0, 57.0],
                "bgr_to_rgb": False,
                "pad_val": 0,
                "seg_pad_val": 255,
                "size": tuple(images.shape[2:]),
            },
            "backbone": {
                "type": "ResNetV1c",
                "depth": 18,
                "num_stages": 4,
                "out_indices": (0, 1, 2, 3),
                "dilations": (1, 1, 2, 4),
                "strides": (1, 2, 1, 1),
                "norm_cfg": norm,
                "norm_eval": False,
                "style": "pytorch",
                "contract_dilation": True,
            },
            "decode_head": {
                "type": "PSPHead",
                "in_channels": 512,
                "in_index": 3,
                "channels": 128,
                "pool_scales": (1, 2, 3, 6),
                "dropout_ratio": 0.1,
                "num_classes": NUM_CLASSES,
                "norm_cfg": norm,
                "align_corners": False,
                "loss_decode": {**loss, "loss_weight": 1.0},
            },
            "auxiliary_head": {
                "type": "FCNHead",
                "in_channels": 256,
                "in_index": 2,
                "channels": 64,
                "num_convs": 1,
                "concat_input": False,
                "dropout_ratio": 0.1,
                "num_classes": NUM_CLASSES,
                "norm_cfg": norm,
                "align_corners": False,
                "loss_decode": {**loss, "loss_weight": 0.4},
            },
            "train_cfg": {},
            "test_cfg": {"mode": "whole"},
        }
    )
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    samples = []
    for truth in labels:
        sample = SegDataSample(gt_sem_seg=PixelData(data=truth[None]))
        sample.set_metainfo({"img_shape": tuple(images.shape[2:])})
        samples.append(sample)

    def step() -> None:
        optimizer.zero_grad()
        data = model.data_preprocessor({"inputs": list(images), "data_samples": samples}, training=True)
        losses = model.loss(data["inputs"], data["data_samples"])
        total, log = model.parse_losses(losses)
        total.backward()
        optimizer.step()
        log["loss"].item()

    return step


DEEPLAB_AS_SMP: dict = {
    "backbone": "resnet18",
    "output_stride": 16,
    "dilation": "uniform",
    "atrous_rates": (12, 24, 36),
    "layout": "segmentation-models-pytorch",
    "auxiliary": False,
}
PSPNET_AS_MMSEG: dict = {"backbone": "resnet18c"}


CASES = {
    "DeepLabV3+ R18, segmentation_models_pytorch": ("deeplabv3plus", DEEPLAB_AS_SMP, "DeepLabV3Plus"),
    "U-Net on ResNet-18, segmentation_models_pytorch": ("encoder-unet", {"backbone": "resnet18"}, "Unet"),
    "PSPNet R18-d8, mmsegmentation": ("pspnet", PSPNET_AS_MMSEG, "mmsegmentation"),
}
CONTESTANTS = ("peer", "float32", "bfloat16")
"""The last one only where the CPU computes in bfloat16 itself, as `limner train` decides too."""


def work(case: str, contestant: str, arguments: argparse.Namespace) -> None:
    """Be one contestant."""
    torch.set_num_threads(arguments.threads)
    size, batch = arguments.size, arguments.batch
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    labels = torch.randint(0, NUM_CLASSES, (batch, size, size))
    network, options, peer = CASES[case]
    memory: AbstractContextManager = nullcontext()
    if contestant != "peer":
        plan = plan_of(network, options, precision=contestant, size=size, batch=batch)
        step, memory = limner_step(plan, images, labels), retain_freed_memory()  # as `fit` does
    elif peer == "mmsegmentation":
        step = mmseg_step(images, labels)
    else:
        import segmentation_models_pytorch as smp

        model = getattr(smp, peer)("resnet18", encoder_weights=None, classes=NUM_CLASSES)
        step = plain_step(model, images, labels)
    with memory:
        serve(step)


def measure(case: str, arguments: argparse.Namespace) -> list[list[float]]:
    """Return the seconds of each contestant's steps, which take turns."""
    options = [f"--{key}={getattr(arguments, key)}" for key in ("threads", "size", "batch")]
    contestants = CONTESTANTS[: 3 if cpu_has_bfloat16() else 2]
    commands = [[__file__, *options, f"--worker={case}/{contestant}"] for contestant in contestants]
    turns = take_turns(commands, rounds=arguments.rounds)
    return [[turn.seconds for turn in taken] for taken in turns]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker.rsplit("/", 1), arguments)
        return
    print(f"{arguments.size}x{arguments.size}, batch {arguments.batch}, {arguments.threads} threads, CPU\n")
    print("| case | peer s | limner float32 s | ratio | limner bfloat16 s | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in CASES:
        if arguments.only not in name:
            continue
        times = measure(name, arguments)
        peer, *ours = times
        cells = [f"{statistics.median(peer):.2f}"]
        for seconds in ours:
            ratio = statistics.median(b / a for a, b in zip(peer, seconds, strict=True))
            cells += [f"{statistics.median(seconds):.2f}", f"{ratio:.2f}"]
        print(f"| {name} | {' | '.join([*cells, '-', '-'][:5])} |", flush=True)


if __name__ == "__main__":
    main()
