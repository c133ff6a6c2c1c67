"""The same weights give the same scores, losses and gradients as Hugging Face transformers' Mask2Former."""

import pytest
import torch

from limner.core.segments import SegmentTargets
from limner.losses.segment_set import SegmentSetLoss
from limner.networks import build_network
from limner.weights.renaming import rename
from limner.weights.sources.queries.mask2former_names import HUGGING_FACE

pytestmark = pytest.mark.peer

CLASSES = 7


def _renamed(state):
    """Return their tensors by our names; `tests/weights/` proves the renaming on its own."""
    return rename(state, HUGGING_FACE).tensors


def _pair(name, **config):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    if name == "resnet50":
        backbone = transformers.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
        ours = "resnet50"
    else:
        backbone = transformers.SwinConfig(
            out_features=["stage1", "stage2", "stage3", "stage4"], drop_path_rate=0.0
        )
        ours = "swin_tiny_patch4_window7_224"
    torch.manual_seed(0)
    settings = transformers.Mask2FormerConfig(
        backbone_config=backbone,
        num_labels=CLASSES,
        encoder_layers=2,
        decoder_layers=4,
        num_queries=12,
        **config,
    )
    theirs = transformers.Mask2FormerForUniversalSegmentation(settings).eval()
    network = build_network(
        "mask2former", num_classes=CLASSES, backbone=ours, pixel_layers=2, decoder_layers=3, num_queries=12
    )
    network.load_state_dict(_renamed(theirs.state_dict()))
    return theirs, network.eval()


@pytest.mark.parametrize("size", [(64, 96), (128, 128), (75, 101)])
@pytest.mark.parametrize("name", ["resnet50", "swin"])
def test_scores_equal_transformers(name, size):
    theirs, ours = _pair(name)
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = theirs(images), ours(images)
    torch.testing.assert_close(found.class_logits, expected.class_queries_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.mask_logits, expected.masks_queries_logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["resnet50", "swin"])
def test_losses_and_gradients_equal_transformers_at_the_same_points(monkeypatch, name):
    theirs, ours = _pair(name, train_num_points=64, importance_sample_ratio=0.0)
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    masks = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(2)) > 0.5
    labels = [torch.tensor([0, 3, 3]), torch.tensor([6, 1, 2])]

    def draw(*shape, device=None, generator=None):  # every set of points is the same
        shape = shape[0] if isinstance(shape[0], tuple) else shape
        every = torch.randn(4096, 2, generator=torch.Generator().manual_seed(3)).sigmoid()
        return every[: shape[-2]].expand(shape).contiguous()

    monkeypatch.setattr(torch, "rand", draw)
    # Statistics stay fixed in both, so that only the decoders' own arithmetic is compared.
    theirs.eval()
    expected = theirs(
        images, mask_labels=[m.float() for m in masks], class_labels=labels, output_auxiliary_logits=True
    )
    ours.query_decoder.train()
    outputs = ours(images)
    targets = [SegmentTargets(m, each) for m, each in zip(masks, labels, strict=True)]
    parts = SegmentSetLoss(num_points=64, importance=0.0)(outputs, targets)
    found = sum(parts.values())
    torch.testing.assert_close(found, expected.loss.squeeze(), rtol=1e-4, atol=0)
    found.backward()
    expected.loss.backward()
    gradients = _renamed({name: p.grad for name, p in theirs.named_parameters() if p.grad is not None})
    compared = 0
    for name, parameter in ours.named_parameters():
        if name not in gradients:
            continue
        scale = gradients[name].abs().max().clamp(min=1e-6)
        assert (parameter.grad - gradients[name]).abs().max() <= 1e-3 * scale + 1e-6, name
        compared += 1
    assert compared == len(gradients) > 100
