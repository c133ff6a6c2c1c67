"""Mask2Former of limner against transformers' and mmdetection's: time and memory of a step, and inference.

The same network (ResNet-50, 100 queries, 6 pixel and 9 query layers, 80 classes) in float32. A training step
is forward, loss and backward of a batch, without the optimizer, which is PyTorch's in all of them; memory is
how far the process rises above what it held with the weights alone. Inference goes from the network's input
to binary masks of 100 objects at the size of the original image. Contestants take turns; ratios are medians
over rounds of limner's by the peer's.

    python benchmarks/mask2former.py    # benchmarks/requirements.txt, and mmdet and transformers beside it
"""

import argparse
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from openmmlab import stand_in_for_compiled_operators
from turns import ratio_cells, serve, take_turns

from limner.core.segments import SegmentTargets
from limner.decoding.query_masks import find_objects
from limner.devices.convolution_layout import choose_memory_format, prefers_winograd
from limner.devices.machine import cpu_has_bfloat16
from limner.devices.retained_memory import retain_freed_memory
from limner.layers.winograd import use_winograd
from limner.losses.segment_set import SegmentSetLoss
from limner.networks import build_network
from limner.training.step import in_float32

CLASSES, OBJECTS, ORIGINAL = 80, 30, (720, 960)

Step = Callable[[], None]


def objects(batch: int, size: int) -> list[SegmentTargets]:
    """Discs of 30 objects an image, a few large and many small."""
    draw = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    images = []
    for _ in range(batch):
        centres, radii = draw.uniform(0, size, (OBJECTS, 2)), size * draw.uniform(0.02, 0.15, OBJECTS)
        masks = [
            (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
            for (y, x), radius in zip(centres, radii, strict=True)
        ]
        labels = torch.from_numpy(draw.integers(0, CLASSES, OBJECTS))
        images.append(SegmentTargets(torch.from_numpy(np.stack(masks)), labels))
    return images


def train_limner(images: torch.Tensor, targets: Sequence[SegmentTargets], *, is_half: bool = False) -> Step:
    layout = choose_memory_format(torch.device("cpu"), spatial_dims=2, training=True)
    network, images = _ours().train().to(memory_format=layout), images.contiguous(memory_format=layout)
    if prefers_winograd(torch.device("cpu")):
        use_winograd(network)
    loss_of = SegmentSetLoss()

    def step() -> None:
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            outputs = network(images)
        sum(loss_of(in_float32(outputs), targets).values()).backward()

    return step


def predict_limner(images: torch.Tensor) -> Step:
    layout = choose_memory_format(torch.device("cpu"), spatial_dims=2)
    network, images = _ours().eval().to(memory_format=layout), images.contiguous(memory_format=layout)

    @torch.inference_mode()
    def step() -> None:
        assert len(find_objects(network(images), ORIGINAL, name="image").masks) > 0

    return step


def _ours() -> torch.nn.Module:
    return build_network("mask2former", num_classes=CLASSES, backbone="resnet50", pretrained="no")


def train_transformers(images: torch.Tensor, targets: Sequence[SegmentTargets]) -> Step:
    network = _theirs().train()
    masks, labels = [target.masks.float() for target in targets], [target.labels for target in targets]

    def step() -> None:
        network.zero_grad()
        network(images, mask_labels=masks, class_labels=labels).loss.backward()

    return step


def predict_transformers(images: torch.Tensor) -> Step:
    import transformers

    network = _theirs().eval()
    processor = transformers.Mask2FormerImageProcessor()

    @torch.inference_mode()
    def step() -> None:
        found = processor.post_process_instance_segmentation(
            network(images), threshold=0.0, target_sizes=[ORIGINAL], return_binary_maps=True
        )
        assert len(found[0]["segmentation"]) > 0

    return step


def _theirs() -> torch.nn.Module:
    import transformers

    backbone = transformers.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
    settings = transformers.Mask2FormerConfig(
        backbone_config=backbone, num_labels=CLASSES, encoder_layers=6, decoder_layers=10, num_queries=100
    )
    return transformers.Mask2FormerForUniversalSegmentation(settings)


def train_mmdetection(images: torch.Tensor, targets: Sequence[SegmentTargets]) -> Step:
    stand_in_for_compiled_operators()
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    network = _mmdetection().train()
    size = tuple(images.shape[2:])
    samples = []
    for target in targets:
        truth = InstanceData(
            labels=target.labels,
            masks=BitmapMasks(target.masks.numpy().astype(np.uint8), *size),
            bboxes=torch.zeros(len(target.labels), 4),
        )
        about = {"img_shape": size, "batch_input_shape": size, "pad_shape": size, "ori_shape": size}
        samples.append(DetDataSample(gt_instances=truth, metainfo=about))

    def step() -> None:
        network.zero_grad()
        network.parse_losses(network.loss(images, samples))[0].backward()

    return step


def _mmdetection() -> torch.nn.Module:
    from pathlib import Path

    import mmdet
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules()
    folder = Path(mmdet.__file__).parent / ".mim/configs/mask2former"
    settings = Config.fromfile(str(folder / "mask2former_r50_8xb2-lsj-50e_coco.py")).model
    settings.backbone.update(init_cfg=None, norm_eval=False, norm_cfg={"type": "BN"})
    return MODELS.build(settings)


def work(job: str, contestant: str, arguments: argparse.Namespace) -> None:
    """Be one contestant."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    size = arguments.size
    if job == "inference":
        images = torch.randn(1, 3, size, size)
        step = {"limner": predict_limner, "transformers": predict_transformers}[contestant](images)
    else:
        images = torch.randn(arguments.batch, 3, size, size)
        makers = {
            "limner": train_limner,
            "limner, bfloat16": partial(train_limner, is_half=True),
            "transformers": train_transformers,
            "mmdetection": train_mmdetection,
        }
        step = makers[contestant](images, objects(arguments.batch, size))
    # As `limner train` and `limner predict` do.
    with retain_freed_memory() if contestant.startswith("limner") else nullcontext():
        serve(step)


def row(job: str, contestants: Sequence[str], arguments: argparse.Namespace) -> str:
    options = [f"--{key}={getattr(arguments, key)}" for key in ("threads", "size", "batch")]
    commands = [[__file__, *options, f"--worker={job}/{name}"] for name in contestants]
    cells = ratio_cells(take_turns(commands, rounds=arguments.rounds))
    return f"| {job}, {arguments.size}x{arguments.size} | {cells} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--peers", default="transformers,mmdetection")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker.split("/"), arguments)
        return
    peers = arguments.peers.split(",")
    print("| job | limner |" + "".join(f" {peer} | time | memory |" for peer in peers))
    print("| --- | --- |" + " --- | --- | --- |" * len(peers))
    print(row("training step", ["limner", *peers], arguments), flush=True)
    if cpu_has_bfloat16():
        print("in bfloat16, the peers in float32:")
        print(row("training step", ["limner, bfloat16", *peers], arguments), flush=True)
    print(row("inference", ["limner", "transformers"], arguments), flush=True)


if __name__ == "__main__":
    main()
