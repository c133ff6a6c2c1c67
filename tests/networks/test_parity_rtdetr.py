"""The same weights give the same boxes, losses and gradients as transformers' RT-DETR, versions 1 and 2."""

import re

import pytest
import torch

from limner.core.box_geometry import as_corners
from limner.core.boxes import BoxTargets
from limner.layers.noisy_boxes import Noise
from limner.losses.box_set import BoxSetLoss
from limner.networks import NETWORKS, build_network
from limner.weights import import_checkpoint
from limner.weights.renaming import rename
from limner.weights.sources.queries.rtdetr_checkpoints import NAMING

pytestmark = pytest.mark.peer

CLASSES, SIZE, QUERIES = 5, (128, 160), 30
RESNET18 = {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}
SMALL = {
    "num_queries": QUERIES,
    "decoder_layers": 3,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 64,
    "encoder_hidden_dim": 96,
    "d_model": 64,
    "decoder_in_channels": [96, 96, 96],
    "hidden_expansion": 0.5,
    "num_denoising": 20,
    "label_noise_ratio": 0.0,
    "box_noise_scale": 1e-9,  # 0 would give their decoder boxes that are not in logits
    "id2label": {i: f"kind {i}" for i in range(CLASSES)},
}
OURS = {"denoising": 20, "num_queries": QUERIES, "expansion": 0.5, "decoder_layers": 3, "channels": 64}
OURS |= {"encoder_feedforward": 48, "feedforward": 64, "encoder_channels": 96}
BACKBONES = {"resnet18vd": (RESNET18, [128, 256, 512]), "resnet50d": ({}, [512, 1024, 2048])}
VERSIONS = {
    1: ("RTDetrConfig", "RTDetrForObjectDetection"),
    2: ("RTDetrV2Config", "RTDetrV2ForObjectDetection"),
}


def build(version, backbone):
    """Their network, every tensor drawn, so that none can change places with another unnoticed."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    resnet, widths = BACKBONES[backbone]
    config, network = (getattr(transformers, name) for name in VERSIONS[version])
    torch.manual_seed(0)
    inside = transformers.RTDetrResNetConfig(out_features=["stage2", "stage3", "stage4"], **resnet)
    theirs = network(config(backbone_config=inside, encoder_in_channels=widths, **SMALL)).eval()
    with torch.no_grad():
        for module in theirs.modules():
            if re.search(r"(BatchNorm2d|LayerNorm)$", type(module).__name__):
                module.weight.uniform_(0.7, 1.3)
                module.bias.normal_(std=0.1)
            if hasattr(module, "running_var"):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.7, 1.3)
        # Their first weights are so small that all pixels look alike.
        for tensor in theirs.parameters():
            if tensor.ndim > 1:
                torch.nn.init.normal_(tensor, std=tensor[0].numel() ** -0.5)
    return theirs


def pair(version, backbone):
    theirs = build(version, backbone)
    ours = build_network("rtdetr", num_classes=CLASSES, backbone=backbone, **OURS).eval()
    tensors = rename({n: t for n, t in theirs.state_dict().items()}, NAMING).tensors
    missing, unexpected = ours.load_state_dict(tensors, strict=False)
    assert not unexpected and not missing
    return theirs, ours


def sets(outputs_logits, outputs_boxes):
    """The queries in the order of their highest score."""
    order = outputs_logits.amax(-1).argsort(1, descending=True)[..., None]
    return [values.gather(1, order.expand_as(values)) for values in (outputs_logits, outputs_boxes)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_boxes_equal_transformers(version, backbone):
    theirs, ours = pair(version, backbone)
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        expected, found = theirs(images), ours(images)
    assert found.class_logits.shape == (2, QUERIES, CLASSES)
    for one, other in zip(
        sets(found.class_logits, found.boxes), sets(expected.logits, expected.pred_boxes), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("version", VERSIONS)
def test_losses_and_gradients_equal_transformers(version):
    theirs, ours = pair(version, "resnet18vd")
    images = torch.randn(2, 3, *SIZE)
    middles = [torch.rand(count, 4) * 0.4 + 0.3 for count in (3, 1)]
    labels = [torch.tensor([0, 3, 3]), torch.tensor([4])]
    rows = [{"class_labels": label, "boxes": box} for label, box in zip(labels, middles, strict=True)]
    theirs.train()
    ours.train()
    for network in (theirs, ours):  # batch statistics differ by rounding, which many layers magnify
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
    ours.decoder.noise = Noise(queries=20, labels=0.0, boxes=1e-9)
    expected = theirs(images, labels=rows)
    scale = torch.tensor([SIZE[1], SIZE[0]] * 2)
    targets = [
        BoxTargets(as_corners(box) * scale, label, torch.zeros(len(label), dtype=torch.bool))
        for box, label in zip(middles, labels, strict=True)
    ]
    outputs = ours(images, targets)
    assert outputs.denoised is not None and outputs.denoised.truth.shape == (2, 36)  # 20 // 3 groups of 6
    parts = BoxSetLoss(**NETWORKS["rtdetr"].loss)(outputs, targets, SIZE)
    total = sum(parts.values())
    torch.testing.assert_close(total, expected.loss.squeeze(), rtol=1e-4, atol=0)
    total.backward()
    expected.loss.backward()
    gradients = rename(
        {n: p.grad for n, p in theirs.named_parameters() if p.grad is not None}, NAMING
    ).tensors
    own = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    compared = 0
    for name, gradient in own.items():
        if name not in gradients or re.match(r"decoder\.(classifiers|regressors)\.", name):
            continue
        # Of all values together: where a ReLU is at its corner, rounding decides about single ones, of which
        # the encoder has most.
        tolerance = 5e-3 if name.startswith("backbone.") else 1e-3
        error = (gradient - gradients[name]).norm()
        assert error <= tolerance * gradients[name].norm() + 1e-6, name
        compared += 1
    assert compared > 150


@pytest.mark.parametrize("version", VERSIONS)
def test_a_saved_folder_is_imported(version, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    theirs = build(version, "resnet18vd")
    theirs.save_pretrained(tmp_path)
    transformers.RTDetrImageProcessor(size={"height": 128, "width": 160}).save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path)
    plan = imported.model.plan
    assert plan.task == "detection"
    assert plan.data.label_table.names == tuple(f"kind {i}" for i in range(CLASSES))
    assert plan.inference.resize.size == (128, 160) and plan.input.std == (255.0, 255.0, 255.0)
    assert plan.network.options["denoising"] == 20 and plan.network.options["backbone"] == "resnet18vd"
    images = torch.randint(0, 256, (1, 3, *SIZE), dtype=torch.uint8)
    with torch.no_grad():
        expected, found = theirs(images / 255), imported.model(images)
    for one, other in zip(
        sets(found.class_logits, found.boxes), sets(expected.logits, expected.pred_boxes), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
