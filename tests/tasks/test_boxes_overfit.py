"""A small detector overfits four images of nuclei, with boxes around the pieces of their masks."""

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from limner.core.boxes import boxes_of
from limner.core.labels import LabelClass, LabelTable
from limner.core.outputs import PointBoxes
from limner.core.plan import LossPlan, LossTerm
from limner.core.sample import Sample
from limner.decoding.box_decoding import find_boxes
from limner.decoding.network_runs import Tile
from limner.images.masks import read_values
from limner.images.read_image import read_image
from limner.loading.collate import collate
from limner.networks import build_network
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


class Whole:
    """Runs of a network whose outputs of one image are known."""

    seen_size = size = SIZE
    kind = PointBoxes

    def __init__(self, outputs: PointBoxes, image: int) -> None:
        self._outputs = PointBoxes(
            outputs.class_logits[image : image + 1], outputs.boxes[image : image + 1], outputs.points
        )

    def tiles(self):
        yield Tile(self._outputs, (0, 0), SIZE)


@pytest.mark.long
@pytest.mark.parametrize("assignment", ["alignment", "statistics"])
def test_boxes_overfit_four_images(assignment: str) -> None:
    samples = nuclei()
    batch = collate(samples)
    torch.manual_seed(0)
    network = build_network("fcos", num_classes=1, pretrained="no", **NETWORK)
    term = LossTerm(name="point_boxes", options={"assignment": assignment})
    criterion = find_task("detection").build_criterion(LossPlan(terms=(term,)), labels=TABLE)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
    images = batch.images.float() / 64 - 1
    steps = 150
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        criterion.loss(network(images), batch).total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        outputs = network.eval()(images)
    scorer = find_task("detection").scorer(TABLE)
    for image, sample in enumerate(samples):
        scorer.score(find_boxes(Whole(outputs, image), name=sample.name), sample)
    assert dict(scorer.compute().items())["box_ap50"] > 0.9
