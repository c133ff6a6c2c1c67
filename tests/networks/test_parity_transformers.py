"""The same weights give the same scores as Hugging Face's transformers."""

import re

import pytest
import torch

from limner.layers.resize import resize
from limner.networks import build_network

pytestmark = pytest.mark.peer

# From transformers' names to ours: (pattern, replacement), applied in turn.
SEGFORMER = [
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
    ours.load_state_dict(_segformer_state(theirs.state_dict()))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images).logits, theirs(images).logits, atol=1e-4, rtol=1e-4)


# The Swin Transformer and UPerNet.
UPERNET = [
    (r"^backbone\.swin\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.proj."),
    (r"^backbone\.swin\.embeddings\.norm\.", "backbone.patch_embed.norm."),
    (r"^backbone\.hidden_states_norms\.stage", "norms."),
    (r"^backbone\.swin\.encoder\.layers\.", "backbone.layers."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.attention\.relative_position_bias\.", ".attn."),
    (r"^decode_head\.psp_modules\.(\d)\.1\.", r"decoder.pyramid.branches.\1."),
    (r"^decode_head\.bottleneck\.", "decoder.pyramid.fusion."),
    (r"^decode_head\.lateral_convs\.", "decoder.laterals."),
    (r"^decode_head\.fpn_convs\.", "decoder.smoothing."),
    (r"^decode_head\.fpn_bottleneck\.", "decoder.fusion."),
    (r"^decode_head\.classifier\.", "head.conv."),
    (r"^auxiliary_head\.classifier\.", "auxiliary_head.classifier.conv."),
    (r"\.batch_norm\.", ".norm."),
]


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
    ours.load_state_dict(_swin_state(theirs.state_dict()))
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        expected = theirs(images).logits
        logits = ours.eval()(images).logits
    torch.testing.assert_close(resize(logits, size), expected, atol=1e-4, rtol=1e-4)


def _rename(state, table):
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in table:
            key = re.sub(pattern, replacement, key)
        renamed[key] = value
    return renamed


def _swin_state(state):
    renamed = {}
    for key, value in _rename(state, UPERNET).items():
        # Theirs merges pixels at the end of a stage, ours at the beginning of the next.
        key = re.sub(
            r"^backbone\.layers\.(\d)\.downsample",
            lambda match: f"backbone.layers.{int(match[1]) + 1}.downsample",
            key,
        )
        key = re.sub(r"^norms\.(\d)", lambda match: f"norms.{int(match[1]) - 1}", key)
        if key not in ("backbone.swin.layernorm.weight", "backbone.swin.layernorm.bias"):  # never used
            renamed[key] = value
    for key in [key for key in renamed if ".attention.q_proj." in key]:
        parts = [renamed.pop(key.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        renamed[key.replace("attention.q_proj", "attn.qkv")] = torch.cat(parts)
    return renamed


def _segformer_state(state):
    renamed = _rename(state, SEGFORMER)
    for key in [key for key in renamed if ".attention.k_proj." in key]:
        pair = renamed.pop(key), renamed.pop(key.replace("k_proj", "v_proj"))
        renamed[key.replace("attention.k_proj", "attn.kv")] = torch.cat(pair)
    return renamed
