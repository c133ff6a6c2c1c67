"""The same weights give the same scores as Hugging Face's transformers."""

import re

import pytest
import torch

from limner.networks import build_network

pytestmark = pytest.mark.peer

# From transformers' names to ours: (pattern, replacement), applied in turn.
RENAME = [
    *(
        pair
        for stage in (1, 2, 3, 4)
        for pair in [
            (
                rf"^segformer\.stages\.{stage - 1}\.patch_embeddings\.proj\.",
                f"backbone.patch_embed{stage}.proj.",
            ),
            (
                rf"^segformer\.stages\.{stage - 1}\.patch_embeddings\.layer_norm\.",
                f"backbone.patch_embed{stage}.norm.",
            ),
            (rf"^segformer\.stages\.{stage - 1}\.layer_norm\.", f"backbone.norm{stage}."),
            (rf"^segformer\.stages\.{stage - 1}\.blocks\.", f"backbone.block{stage}."),
        ]
    ),
    (r"^decode_head\.linear_projections\.(\d)\.proj\.", r"decoder.projections.\1."),
    (r"^decode_head\.linear_fuse\.", "decoder.fusion.conv."),
    (r"^decode_head\.batch_norm\.", "decoder.fusion.norm."),
    (r"^decode_head\.classifier\.", "head.conv."),
    (r"\.attention\.q_proj\.", ".attn.q."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.attention\.sequence_reduction\.sequence_reduction\.", ".attn.sr."),
    (r"\.attention\.sequence_reduction\.layer_norm\.", ".attn.norm."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
]


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
    ours.load_state_dict(_rename(theirs.state_dict()))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images).logits, theirs(images).logits, atol=1e-4, rtol=1e-4)


def _rename(state):
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in RENAME:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    for key in [key for key in renamed if ".attention.k_proj." in key]:
        pair = renamed.pop(key), renamed.pop(key.replace("k_proj", "v_proj"))
        renamed[key.replace("attention.k_proj", "attn.kv")] = torch.cat(pair)
    return renamed
