"""Every network learns: four images of CamVid are overfitted in about the number of steps that stands here.

Images at a third of their size (160x120), AdamW at 1e-3 without weight decay, batches of all four, the
losses of training, including auxiliary heads. Takes two hours on one core: run it with `make test-long`.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from limner.core.batch import Batch
from limner.core.label_map import LabelMap
from limner.core.labels import LabelClass, LabelTable
from limner.core.outputs import (
    CentreOffsets,
    ClassLogits,
    DenseLogits,
    PointBoxes,
    QueryBoxes,
    QueryMasks,
    TextMaps,
)
from limner.core.plan import LossPlan, LossTerm
from limner.core.segments import Segments, segments_of
from limner.decoding.label_maps import semantic_labels
from limner.networks import NETWORKS, build_network
from limner.tasks.centre_objective import CentreCriterion
from limner.tasks.dense_objective import DenseCriterion
from limner.tasks.set_objective import SetCriterion

# Regions of the classes, all of them stuff but the last, which is seen as one object.
TABLE = LabelTable(tuple(LabelClass(f"class {i}", (i,), (i, i, i), i == 10) for i in range(11)))
NUM_CLASSES, VOID, IGNORED = 11, 11, 255
# Small ones of each: the smallest backbone where there is a choice, narrow where the widths are.
RESNET18C = {"backbone": "resnet18c"}
QUERIES = {"backbone": "resnet18", "channels": 64, "num_queries": 20, "decoder_layers": 3}
OPTIONS = {
    name: RESNET18C
    for name in ("fcn", "semantic-fpn", "gcn", "pspnet", "deeplabv3", "deeplabv3plus", "psanet")
    + ("ocnet", "ocrnet", "danet", "ccnet", "ann", "emanet", "gff", "pranet", "infnet", "caranet")
} | {
    # The two layers of 4,096 channels take nine tenths of the time.
    "fcn8s": {"backbone": "vgg11_bn", "has_border": False, "hidden": 256, "dropout": 0.0},
    "unet": {"widths": (16, 32, 64, 128, 256)},
    "unet-centres": {"widths": (16, 32, 64, 128, 256)},
    "panoptic-deeplab": {"backbone": "resnet18"},
    "segnet": {"widths": (16, 32, 64, 128, 128)},
    "resunet": {"widths": (16, 32, 64, 128)},
    "nnunet": {"features": (16, 32, 64, 128, 160)},
    "nnunet-resenc": {"features": (16, 32, 64, 128), "blocks": (1, 1, 2, 2)},
    "vnet": {"width": 8},
    "segresnet": {"width": 16},
    "unetr": {"image_size": 160, "hidden": 192, "num_blocks": 4, "num_heads": 3, "mlp_hidden": 384},
    "swinunetr": {"width": 24},
    "unetplusplus": {"widths": (16, 32, 64, 128, 256)},
    "manet": {"backbone": "resnet18"},
    "dpt": {
        "backbone": "vit_tiny_patch16_224",
        "num_blocks": 4,
        "image_size": 160,
        "widths": (24, 48, 96, 192),
        "channels": 64,
    },
    "encoder-unet": {"backbone": "resnet18"},
    "upernet": {**RESNET18C, "channels": 128, "auxiliary_channels": 64},
    "setr": {"backbone": "vit_tiny_patch16_224", "image_size": 160, "channels": 64},
    "transunet": {"num_blocks": 2, "image_size": 160, "channels": 128, "decoder_widths": (64, 32, 16, 16)},
    "vit": {"backbone": "vit_tiny_patch16_224", "image_size": 160, "channels": 128},
    "per-pixel": {"backbone": "resnet18", "channels": 64, "decoder_layers": 2, "feedforward": 128},
    "maskformer": {**QUERIES, "feedforward": 128},
    "mask2former": {**QUERIES, "pixel_layers": 2, "pixel_feedforward": 128, "decoder_feedforward": 128},
    "eomt": {
        "backbone": "vit_tiny_patch16_224",
        "num_blocks": 4,
        "joint_blocks": 2,
        "num_queries": 20,
        "image_size": 160,
    },
}
# The first multiple of 20 steps after which more than 95 % of the pixels were right, where it was recorded.
# A network that is not here has as many as the slowest.
STEPS = {
    "fcn": 100,
    "fcn8s": 100,
    "unet": 240,
    "nnunet": 240,
    "nnunet-resenc": 300,
    "vnet": 480,
    "segresnet": 220,
    "residual-unet": 140,
    "unetr": 280,
    "swinunetr": 160,
    "segnet": 200,
    "resunet": 120,
    "unetplusplus": 180,
    "resunetplusplus": 80,
    "encoder-unet": 120,
    "encoder-unetplusplus": 100,
    "semantic-fpn": 100,
    "gcn": 100,
    "pspnet": 140,
    "pspnet-shallow": 320,
    "deeplabv3": 120,
    "deeplabv3plus": 80,
    "denseaspp": 40,
    "psanet": 160,
    "pan": 180,
    "upernet": 140,
    "ocnet": 140,
    "danet": 120,
    "ccnet": 140,
    "ann": 160,
    "emanet": 200,
    "gff": 100,
    "enet": 520,
    "linknet": 240,
    "lraspp": 920,
    "espnet": 420,
    "bisenetv1": 120,
    "bisenetv2": 60,
    "pranet": 680,
    "infnet": 400,
    "caranet": 860,
    "manet": 100,
    "setr": 240,
    "segformer": 140,
    "transunet": 80,
    "vit": 280,
    "dpt": 140,
    "per-pixel": 140,
    "maskformer": 260,
    "mask2former": 100,
    "eomt": 100,
    "panoptic-deeplab": 60,
    "unet-centres": 440,
}
# Boxes, words and classes of whole images have tests of their own: tests/tasks/test_boxes_overfit.py,
# test_text_detection.py and test_classes_overfit.py.
ELSEWHERE = (ClassLogits, PointBoxes, QueryBoxes, TextMaps)
NAMES = [n for n, entry in NETWORKS.items() if 2 in entry.spatial_dims and entry.output not in ELSEWHERE]
MARGIN = 1.5
"""Other machines add up in another order, so that learning takes another way."""
EVERY = 20


@pytest.fixture(scope="module")
def four_images(shared_data):
    paths = sorted((shared_data / "camvid" / "train").glob("*.png"))[::12][:4]
    images = [
        np.asarray(Image.open(p).convert("RGB").resize((160, 120), Image.Resampling.BOX)) for p in paths
    ]
    masks = [Image.open(shared_data / "camvid" / "trainannot" / p.name) for p in paths]
    labels = np.stack([np.asarray(mask.resize((160, 120), Image.Resampling.NEAREST)) for mask in masks])
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    truth = torch.from_numpy(np.where(labels == VOID, IGNORED, labels).astype(np.uint8))
    targets = {LabelMap: truth, Segments: Segments.stack([regions(each.numpy()) for each in truth])}
    return Batch((pixels - 110) / 70, tuple(p.stem for p in paths), targets)


def regions(labels):
    present = [label for label in range(NUM_CLASSES) if (labels == label).any()]
    return segments_of([labels == label for label in present], present, shape=labels.shape)


def test_every_number_is_that_of_a_network() -> None:
    assert list(STEPS) == [name for name in NAMES if name in STEPS]


def test_every_network_has_a_loss():
    for name in NAMES:
        criterion_of(name)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_overfits_four_images(four_images, name):
    torch.manual_seed(0)
    network, task = build(name)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.0)
    right = 0.0
    for step in range(1, round(MARGIN * STEPS.get(name, max(STEPS.values()))) + 1):
        optimizer.zero_grad()
        task.loss(network.train()(four_images.images), four_images).total.backward()
        optimizer.step()
        if step % EVERY == 0 and (right := pixel_accuracy(network, four_images)) > 0.95:
            return
    pytest.fail(f"{right:.1%} of the pixels are right after {step} steps")


def build(name):
    network = build_network(name, num_classes=NUM_CLASSES, spatial_dims=2, **OPTIONS.get(name, {}))
    return network, criterion_of(name)


def criterion_of(name):
    entry = NETWORKS[name]
    if entry.output is CentreOffsets:
        term = LossTerm(name="centre_offset", options=dict(entry.loss))
        return CentreCriterion(LossPlan(terms=(term,)), labels=TABLE)
    if entry.output is QueryMasks:
        term = LossTerm(name="segment_set", options={"num_points": 512})
        return SetCriterion(LossPlan(terms=(term,)), num_classes=NUM_CLASSES)
    return DenseCriterion(LossPlan(), num_classes=NUM_CLASSES)


def pixel_accuracy(network, batch):
    with torch.no_grad():
        outputs = network.eval()(batch.images)
    if isinstance(outputs, CentreOffsets):
        outputs = DenseLogits(outputs.class_logits)
    labels = semantic_labels(outputs, batch.get(LabelMap).shape[1:])
    known = batch.get(LabelMap) != IGNORED
    return (labels == batch.get(LabelMap))[known].float().mean().item()
