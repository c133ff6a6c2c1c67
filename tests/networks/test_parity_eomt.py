"""The same weights give the same scores as Hugging Face transformers' EoMT, with masks and without."""

import pytest
import torch

from limner.networks import build_network
from limner.networks.backbones import vit
from limner.weights.renaming import rename
from limner.weights.sources.queries.eomt_checkpoints import NAMING

pytestmark = pytest.mark.peer

CLASSES, SIZE = 7, 64
SHAPE = vit.ViTShape(48, 5, 4, num_registers=4, class_position=False, layer_scale=1.0)


def _renamed(state):
    renamed = rename(state, NAMING).tensors
    return renamed | {"backbone.pos_embed": renamed["backbone.pos_embed"][None]}


@pytest.fixture
def pair(monkeypatch):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    monkeypatch.setitem(vit.DINOV2S, "small", SHAPE)
    torch.manual_seed(0)
    settings = transformers.EomtConfig(
        hidden_size=SHAPE.width,
        num_hidden_layers=SHAPE.num_blocks,
        num_attention_heads=SHAPE.num_heads,
        image_size=SIZE,
        num_blocks=3,
        num_queries=9,
        num_labels=CLASSES,
    )
    theirs = transformers.EomtForUniversalSegmentation(settings).eval()
    ours = build_network(
        "eomt", num_classes=CLASSES, backbone="small", joint_blocks=3, num_queries=9, image_size=SIZE
    )
    return theirs, ours.eval()


@pytest.mark.parametrize("shares", [(1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (0.0, 0.0, 0.0)])
def test_scores_equal_transformers(pair, randomize, shares):
    theirs, ours = pair
    randomize(theirs)
    theirs.attn_mask_probs.copy_(torch.tensor(shares))
    ours.load_state_dict(_renamed(theirs.state_dict()))
    images = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = theirs(images), ours(images)
    torch.testing.assert_close(found.class_logits, expected.class_queries_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.mask_logits, expected.masks_queries_logits, atol=1e-4, rtol=1e-4)
    ours.set_progress(0.0 if shares[-1] == 0 else 1.0)
    with torch.no_grad():
        other = ours(images)  # the masks matter here
    assert (other.mask_logits - found.mask_logits).abs().max() > 1e-2
