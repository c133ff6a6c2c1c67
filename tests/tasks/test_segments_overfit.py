"""Small networks overfit four images of nuclei: objects, panoptic segments, pixel classes.

Each takes one to two minutes on 2 cores: run them with `make test-long`.
"""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from limner.core.batch import Batch
from limner.core.label_map import LabelMap
from limner.core.labels import LabelClass, LabelTable
from limner.core.outputs import CentreOffsets, Outputs, QueryMasks
from limner.core.plan import LossPlan, LossTerm
from limner.core.sample import Sample
from limner.core.segments import Segments, segments_of
from limner.decoding.centre_offsets import find_centred_objects, find_centred_segments
from limner.decoding.label_maps import semantic_labels
from limner.decoding.query_masks import find_objects, find_segments
from limner.images.masks import read_values
from limner.images.read_image import read_image
from limner.layers.training_progress import notify_progress
from limner.loading.collate import collate
from limner.networks import NETWORKS, build_network
from limner.tasks import find_task

pytestmark = pytest.mark.long

TABLE = LabelTable((LabelClass("background", (0,), (0, 0, 0)), LabelClass("nucleus", (1,), (9, 200, 9))))
SMALL = {
    "mask2former": {
        "backbone": "resnet18",
        "channels": 64,
        "num_queries": 40,
        "pixel_layers": 2,
        "pixel_feedforward": 128,
        "decoder_layers": 3,
        "decoder_feedforward": 128,
    },
    "eomt": {
        "backbone": "vit_tiny_patch16_224",
        "num_blocks": 4,
        "joint_blocks": 2,
        "num_queries": 40,
        "image_size": 128,
    },
    "unet-centres": {"widths": (16, 32, 64, 128)},
    "panoptic-deeplab": {"backbone": "resnet18"},
}
SIZE = (128, 128)
NAMES = ("0532c64c2fd0", "12f89395ad5d", "16c3d5935ba9", "1740b0a67ca3")


def nuclei(labels: LabelTable) -> list[Sample]:
    """Crops of 128 x 128 of the embedded example; each piece of its masks is an object."""
    folder = Path(str(files("limner.example"))) / "nuclei"
    samples = []
    for name in NAMES:
        image = read_image(folder / "images" / f"{name}.png").array[:128, :128]
        values = read_values(folder / "masks" / f"{name}.png")[:128, :128] != 0
        count, pieces = cv2.connectedComponents(values.astype(np.uint8))
        masks = [pieces == i for i in range(1, count) if (pieces == i).sum() >= 20] + [~values]
        raw = segments_of(masks, [1] * (len(masks) - 1) + [0], shape=values.shape)
        samples.append(Sample(name, image, (labels.encode_segments(raw),)))
    return samples


def overfit(name: str, task: str, labels: LabelTable, batch: Batch, *, steps: int) -> Outputs:
    """Train a small network on four images and return what it makes of them."""
    torch.manual_seed(0)
    network = build_network(name, num_classes=labels.num_classes, pretrained="no", **SMALL[name])
    has_centres = NETWORKS[name].output is CentreOffsets
    term = LossTerm(name="segment_set", options={"num_points": 512})
    if has_centres:
        # Few pixels decide: all are learned, as in `unet-centres`.
        term = LossTerm(name="centre_offset", options=dict(NETWORKS["unet-centres"].loss))
    loss_of = find_task(task).build_criterion(LossPlan(terms=(term,)), labels=labels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    images = batch.images.float() / 64 - 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        notify_progress(network, step / steps)
        optimizer.zero_grad()
        loss_of.loss(network(images), batch).total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    notify_progress(network.eval(), 1.0)
    with torch.inference_mode():
        outputs = network(images)
    assert isinstance(outputs, CentreOffsets if has_centres else QueryMasks)
    return outputs


@pytest.mark.parametrize(("name", "steps"), [("unet-centres", 200), ("panoptic-deeplab", 200)])
def test_objects_by_their_centres_overfit_four_images(name: str, steps: int) -> None:
    labels = TABLE.things()
    samples = nuclei(labels)
    outputs = overfit(name, "instance", labels, collate(samples), steps=steps)
    scorer = find_task("instance").scorer(labels)
    for index, sample in enumerate(samples):
        one = CentreOffsets(*(maps[index : index + 1] for maps in _maps(outputs)))
        scorer.score(find_centred_objects(one, SIZE, is_thing=[True], name=sample.name), sample)
    assert dict(scorer.compute().items())["ap50"] > 0.9


def _maps(outputs: Outputs) -> tuple[torch.Tensor, ...]:
    assert isinstance(outputs, CentreOffsets)
    return outputs.class_logits, outputs.centres, outputs.offsets


@pytest.mark.parametrize(("name", "steps"), [("mask2former", 160), ("eomt", 160)])
def test_objects_overfit_four_images(name: str, steps: int) -> None:
    labels = TABLE.things()
    samples = nuclei(labels)
    outputs = overfit(name, "instance", labels, collate(samples), steps=steps)
    scorer = find_task("instance").scorer(labels)
    for index, sample in enumerate(samples):
        scorer.score(find_objects(outputs, SIZE, name=sample.name, image=index), sample)
    assert dict(scorer.compute().items())["ap50"] > 0.9


def test_panoptic_segments_by_their_centres_overfit_four_images() -> None:
    samples = nuclei(TABLE)
    outputs = overfit("unet-centres", "panoptic", TABLE, collate(samples), steps=200)
    scorer = find_task("panoptic").scorer(TABLE)
    for index, sample in enumerate(samples):
        one = CentreOffsets(*(maps[index : index + 1] for maps in _maps(outputs)))
        things = TABLE.is_thing.tolist()
        scorer.score(find_centred_segments(one, SIZE, is_thing=things, name=sample.name), sample)
    assert dict(scorer.compute().items())["pq"] > 0.85


def test_panoptic_segments_overfit_four_images() -> None:
    samples = nuclei(TABLE)
    outputs = overfit("mask2former", "panoptic", TABLE, collate(samples), steps=130)
    scorer = find_task("panoptic").scorer(TABLE)
    things = TABLE.is_thing.tolist()
    for index, sample in enumerate(samples):
        scorer.score(find_segments(outputs, SIZE, is_thing=things, name=sample.name, image=index), sample)
    assert dict(scorer.compute().items())["pq"] > 0.9


def test_pixel_classes_overfit_four_images() -> None:
    batch = collate([replace(s, targets=(LabelMap(s.get(Segments).painted(0)),)) for s in nuclei(TABLE)])
    outputs = overfit("mask2former", "semantic", TABLE, batch, steps=130)
    found = semantic_labels(outputs, SIZE)
    shared = [((found == k) & (batch.get(LabelMap) == k)).sum() for k in range(2)]
    either = [((found == k) | (batch.get(LabelMap) == k)).sum() for k in range(2)]
    assert sum(float(a / b) for a, b in zip(shared, either, strict=True)) / 2 > 0.95
