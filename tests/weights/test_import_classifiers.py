"""Classifiers of images of other libraries with random weights; limner's imports give the same scores.

Networks whose positions are learned for one size are compared at that size.
"""

import json

import peers
import pytest
import torch

from limner.weights import import_checkpoint
from limner.weights.model import Model
from limner.weights.starting import read_starting_plan, start_from
from limner.weights.verification import verify_import

pytestmark = pytest.mark.peer

CLASSES = 5
NAMES = {i: f"kind {i}" for i in range(CLASSES)}


def _assert_same(imported, theirs, sizes, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
    for size in sizes:
        draws = torch.Generator().manual_seed(1)
        images = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=draws)
        with torch.no_grad():
            expected, found = theirs((images / 255 - mean) / std), imported.model(images).logits
        spread = expected.std(0).max()  # between images
        assert spread > 1e-2
        scale = max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found, expected, atol=1e-4 * scale, rtol=1e-4)


def _sizes(name):
    return ((224, 224),) if name.startswith(("vit", "swin")) else ((64, 96), (65, 97))


TORCHVISION = {
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnext50_32x4d": "resnext50_32x4d",
    "vit_b_32": "vit_base_patch32_224",
    "swin_t": "swin_tiny_patch4_window7_224",
    "convnext_tiny": "convnext_tiny",
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "efficientnet_b0": "efficientnet_b0",
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(tmp_path, name):
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    theirs = peers.drawn(models.get_model, name, weights=None, num_classes=CLASSES)
    if "net" in name:
        peers.settle(theirs, torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(0)))
    torch.save(theirs.state_dict(), tmp_path / "model.pth")
    imported = import_checkpoint(tmp_path / "model.pth")
    plan = imported.model.plan
    assert plan.task == "classification" and plan.network.options == {"backbone": TORCHVISION[name]}
    if name in ("mobilenet_v3_small", "swin_t"):
        assert verify_import(imported).library.startswith("torchvision")
    _assert_same(imported, theirs, _sizes(name))


def _transformers(name):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    if name == "vit":
        sizes = {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768}
        config = transformers.ViTConfig(id2label=NAMES, **sizes)
        return transformers.ViTForImageClassification(config)
    if name == "swin":
        return transformers.SwinForImageClassification(transformers.SwinConfig(id2label=NAMES))
    if name == "convnext":
        return transformers.ConvNextForImageClassification(transformers.ConvNextConfig(id2label=NAMES))
    options = {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}
    config = transformers.ResNetConfig(id2label=NAMES, **options)
    return transformers.ResNetForImageClassification(config)


@pytest.mark.parametrize("name", ["vit", "swin", "convnext", "resnet"])
def test_transformers(tmp_path, name):
    theirs = peers.randomize(_transformers(name))
    theirs.save_pretrained(tmp_path)
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"shortest_edge": 200}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(half), "utf-8")
    imported = import_checkpoint(tmp_path)
    _assert_same(imported, lambda x: theirs(x).logits, _sizes(name), (0.5,) * 3, (0.5,) * 3)
    assert imported.model.labels.names == tuple(NAMES.values())
    resize = imported.model.plan.inference.resize
    assert (resize.size or resize.shortest) == ((224, 224) if name in ("vit", "swin") else 200)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_tiny"])
def test_timm(tmp_path, name):
    timm = pytest.importorskip("timm")
    theirs = peers.drawn(timm.create_model, name, num_classes=CLASSES)
    torch.save(theirs.state_dict(), tmp_path / "model.pth")
    imported = import_checkpoint(tmp_path / "model.pth")
    known = timm.get_pretrained_cfg(name)
    _assert_same(imported, theirs, _sizes(name), known.mean, known.std)


def test_the_encoder_of_a_swin_starts_another_network(tmp_path):
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    theirs = peers.drawn(models.swin_t, weights=None, num_classes=CLASSES)
    path = tmp_path / "swin.pth"
    torch.save(theirs.state_dict(), path)
    plan = read_starting_plan(path, task="semantic", network={"name": "upernet"})
    assert plan.network.options == {"backbone": "swin_tiny_patch4_window7_224"}
    model = Model.from_plan(plan)
    done, _ = start_from(path, model)
    found = model.network.backbone.state_dict()
    expected = theirs.state_dict()["features.3.1.mlp.3.weight"]
    assert torch.equal(found["layers.1.blocks.1.mlp.fc2.weight"], expected)
    assert len(done.loaded) == len(found)
