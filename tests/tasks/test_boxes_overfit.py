"""Small detectors overfit four images of nuclei, with boxes around the pieces of their masks."""

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from limner.core.boxes import boxes_of
from limner.core.labels import LabelClass, LabelTable
from limner.core.outputs import PointBoxes, QueryBoxes
from limner.core.plan import LossPlan, LossTerm
from limner.core.sample import Sample
from limner.decoding.box_decoding import find_boxes
from limner.decoding.network_runs import Tile, array_tiles
from limner.images.masks import read_values
from limner.images.read_image import read_image
from limner.layers.target_aware import target_inputs
from limner.loading.collate import collate
from limner.networks import NETWORKS, build_network
from limner.tasks import find_task

TABLE = LabelTable((LabelClass("nucleus", (1,), (9, 200, 9)),))
SIZE = (128, 128)
NAMES = ("0532c64c2fd0", "12f89395ad5d", "16c3d5935ba9", "1740b0a67ca3")
NETWORK = {"backbone": "resnet18_width16", "channels": 48, "head_convs": 1, "extra_levels": 1}


def nuclei() -> list[Sample]:
    """Crops of 128 x 128 of the embedded example; each piece of its masks is an object."""
    folder = Path(str(files("limner.example"))) / "nuclei"
    samples = []
    for name in NAMES:
        image = read_image(folder / "images" / f"{name}.png").array[:128, :128]
        values = read_values(folder / "masks" / f"{name}.png")[:128, :128] != 0
        _, _, stats, _ = cv2.connectedComponentsWithStats(values.astype(np.uint8))
        pieces = [row for row in stats[1:] if row[cv2.CC_STAT_AREA] >= 20]
        boxes = [[left, top, left + width, top + height] for left, top, width, height, _ in pieces]
        samples.append(Sample(name, image, (boxes_of(boxes, [0] * len(boxes), shape=SIZE),)))
    return samples


WHOLE = {"size": SIZE, "seen_size": SIZE}


class Whole:
    """Runs of a network whose outputs of one image are known."""

    def __init__(self, outputs: PointBoxes | QueryBoxes, image: int) -> None:
        own = outputs.class_logits[image : image + 1], outputs.boxes[image : image + 1]
        self._outputs = (
            PointBoxes(*own, outputs.points) if isinstance(outputs, PointBoxes) else QueryBoxes(*own)
        )

    def tiles(self):
        yield Tile(self._outputs, (0, 0), SIZE)


QUERIES = {"backbone": "resnet18_width16", "backbone_norm": "trained", "channels": 64, "num_queries": 60}
QUERIES |= {"feedforward": 128, "decoder_layers": 3}
DEFORMABLE = QUERIES | {"levels": 3, "encoder_layers": 2, "dropout": 0.0}
HYBRID = {"encoder_channels": 64, "encoder_feedforward": 128, "expansion": 0.5, "denoising": 60}
CASES = {
    "fcos, alignment": ("fcos", NETWORK, {"assignment": "alignment"}, 4e-3, 150),
    "fcos, statistics": ("fcos", NETWORK, {"assignment": "statistics"}, 4e-3, 250),
    "rtdetr": ("rtdetr", QUERIES | HYBRID, {}, 1e-3, 400),
    "deformable-detr": ("deformable-detr", DEFORMABLE, {}, 1e-3, 1000),
    "deformable-detr, refinement": ("deformable-detr", DEFORMABLE | {"refines_boxes": True}, {}, 1e-3, 1000),
    "deformable-detr, two-stage": (
        "deformable-detr",
        DEFORMABLE | {"refines_boxes": True, "two_stage": True},
        {},
        1e-3,
        1000,
    ),
}
"""Name -> network, its options, those of the loss, the highest learning rate, steps."""
EVERY = 50


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_boxes_overfit_four_images(case: str) -> None:
    name, options, of_loss, rate, steps = CASES[case]
    samples = nuclei()
    batch = collate(samples)
    torch.manual_seed(0)
    network = build_network(name, num_classes=1, pretrained="no", **options)
    task, entry = find_task("detection"), NETWORKS[name]
    (loss,) = task.objectives[entry.output].losses
    term = LossTerm(name=loss, options={**entry.loss, **of_loss})
    criterion = task.build_criterion(LossPlan(terms=(term,)), labels=TABLE)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    images = batch.images.float() / 64 - 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    reached = 0.0
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        outputs = network.train()(images, *target_inputs(network, batch.targets))
        criterion.loss(outputs, batch).total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0 if entry.output is PointBoxes else 1.0)
        optimizer.step()
        schedule.step()
        if step % EVERY == 0 and (reached := ap50(network, images, samples)) > 0.9:
            return
    pytest.fail(f"an AP50 of {reached:.3f} after {steps} steps")


def ap50(network, images, samples) -> float:
    with torch.inference_mode():
        outputs = network.eval()(images)
    scorer, kind = find_task("detection").scorer(TABLE), type(outputs).__name__
    for image, sample in enumerate(samples):
        found = find_boxes(array_tiles(Whole(outputs, image)), **WHOLE, kind=kind, name=sample.name)
        scorer.score(found, sample)
    return dict(scorer.compute().items())["box_ap50"]
