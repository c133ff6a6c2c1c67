"""The same weights give the same scores as Hugging Face's transformers."""

import pytest
import torch

from limner.layers.resize import resize
from limner.networks import build_network
from limner.weights.renaming import rename
from limner.weights.sources.pixels.transformers_names import SEGFORMER, UPERNET

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.mark.parametrize("size", [(64, 96), (65, 47)])
@pytest.mark.parametrize("widths", ["b0", "b2"])
def test_segformer_equals_transformers(transformers, randomize, widths, size):
    small = widths == "b0"
    theirs = randomize(
        transformers.SegformerForSemanticSegmentation(
            transformers.SegformerConfig(
                depths=[2, 2, 2, 2] if small else [3, 4, 6, 3],
                hidden_sizes=[32, 64, 160, 256] if small else [64, 128, 320, 512],
                decoder_hidden_size=256 if small else 768,
                num_labels=19,
            )
        )
    )
    ours = build_network("segformer", num_classes=19, backbone=f"mit_{widths}")
    ours.load_state_dict(rename(theirs.state_dict(), SEGFORMER).tensors)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images).logits, theirs(images).logits, atol=1e-4, rtol=1e-4)


# Sides that the windows divide at every stage, and sides that they divide at none.
@pytest.mark.parametrize("size", [(224, 224), (65, 150)])
def test_upernet_on_swin_equals_transformers(transformers, randomize, size):
    theirs = randomize(
        transformers.UperNetForSemanticSegmentation(
            transformers.UperNetConfig(
                backbone_config=transformers.SwinConfig(
                    out_features=["stage1", "stage2", "stage3", "stage4"]
                ),
                num_labels=19,
                hidden_size=64,
                auxiliary_channels=16,
            )
        )
    )
    ours = build_network(
        "upernet",
        num_classes=19,
        backbone="swin_tiny_patch4_window7_224",
        norm_features=True,
        channels=64,
        auxiliary_channels=16,
    )
    ours.load_state_dict(rename(theirs.state_dict(), UPERNET).tensors)
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        expected = theirs(images).logits
        logits = ours.eval()(images).logits
    torch.testing.assert_close(resize(logits, size), expected, atol=1e-4, rtol=1e-4)
