"""The same weights give the same scores, losses and gradients as Hugging Face transformers' Mask2Former."""

import re

import pytest
import torch

from limner.core.batch import SegmentTargets
from limner.losses.segment_set import SegmentSetLoss
from limner.networks import build_network

pytestmark = pytest.mark.peer

CLASSES = 7
# From transformers' names to ours: (pattern, replacement), applied in turn.
RENAME = [
    (r"^model\.pixel_level_module\.decoder\.", "pixel_decoder."),
    (r"^model\.pixel_level_module\.encoder\.", "backbone."),
    (r"^model\.transformer_module\.decoder\.", "query_decoder."),
    (r"^model\.transformer_module\.queries_features\.weight$", "query_decoder.query_feat"),
    (r"^model\.transformer_module\.queries_embedder\.weight$", "query_decoder.query_embed"),
    (r"^model\.transformer_module\.level_embed\.weight$", "query_decoder.level_embed"),
    (r"^class_predictor\.", "query_decoder.head.class_embed."),
    (r"^pixel_decoder\.input_projections\.(\d)\.0\.", r"pixel_decoder.input_proj.\1.conv."),
    (r"^pixel_decoder\.input_projections\.(\d)\.1\.", r"pixel_decoder.input_proj.\1.norm."),
    (r"^pixel_decoder\.adapter_1\.0\.", "pixel_decoder.lateral.conv."),
    (r"^pixel_decoder\.adapter_1\.1\.", "pixel_decoder.lateral.norm."),
    (r"^pixel_decoder\.layer_1\.0\.", "pixel_decoder.smoothing.conv."),
    (r"^pixel_decoder\.layer_1\.1\.", "pixel_decoder.smoothing.norm."),
    (r"^pixel_decoder\.mask_projection\.", "pixel_decoder.mask_features."),
    (r"^pixel_decoder\.encoder\.layers\.(\d)\.self_attn_layer_norm\.", r"pixel_decoder.layers.\1.norm1."),
    (
        r"^pixel_decoder\.encoder\.layers\.(\d)\.final_layer_norm\.",
        r"pixel_decoder.layers.\1.feedforward.norm.",
    ),
    (r"^pixel_decoder\.encoder\.layers\.(\d)\.fc(\d)\.", r"pixel_decoder.layers.\1.feedforward.linear\2."),
    (r"^pixel_decoder\.encoder\.layers\.", "pixel_decoder.layers."),
    (r"^(query_decoder\.layers\.\d)\.fc(\d)\.", r"\1.feedforward.linear\2."),
    (r"^(query_decoder\.layers\.\d)\.self_attn_layer_norm\.", r"\1.self_norm."),
    (r"^(query_decoder\.layers\.\d)\.cross_attn_layer_norm\.", r"\1.cross_norm."),
    (r"^(query_decoder\.layers\.\d)\.final_layer_norm\.", r"\1.feedforward.norm."),
    (r"^query_decoder\.layernorm\.", "query_decoder.decoder_norm."),
    (r"^query_decoder\.mask_predictor\.mask_embedder\.0\.0\.", "query_decoder.head.mask_embed.0."),
    (r"^query_decoder\.mask_predictor\.mask_embedder\.1\.0\.", "query_decoder.head.mask_embed.2."),
    (r"^query_decoder\.mask_predictor\.mask_embedder\.2\.0\.", "query_decoder.head.mask_embed.4."),
    # ResNet
    (r"^backbone\.embedder\.embedder\.convolution\.", "backbone.conv1."),
    (r"^backbone\.embedder\.embedder\.normalization\.", "backbone.bn1."),
    (r"^backbone\.encoder\.stages\.0\.layers\.", "backbone.layer1."),
    (r"^backbone\.encoder\.stages\.1\.layers\.", "backbone.layer2."),
    (r"^backbone\.encoder\.stages\.2\.layers\.", "backbone.layer3."),
    (r"^backbone\.encoder\.stages\.3\.layers\.", "backbone.layer4."),
    (r"^(backbone\.layer.*)\.shortcut\.convolution\.", r"\1.downsample.0."),
    (r"^(backbone\.layer.*)\.shortcut\.normalization\.", r"\1.downsample.1."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.0\.convolution\.", r"\1.conv1."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.0\.normalization\.", r"\1.bn1."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.1\.convolution\.", r"\1.conv2."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.1\.normalization\.", r"\1.bn2."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.2\.convolution\.", r"\1.conv3."),
    (r"^(backbone\.layer\d\.\d+)\.layer\.2\.normalization\.", r"\1.bn3."),
    # Swin
    (r"^backbone\.swin\.", "backbone."),
    (r"^backbone\.embeddings\.patch_embeddings\.projection\.", "backbone.patch_embed.proj."),
    (r"^backbone\.embeddings\.norm\.", "backbone.patch_embed.norm."),
    (r"^backbone\.hidden_states_norms\.stage(\d)\.", r"norms.\1."),
    (r"^backbone\.encoder\.layers\.(\d)\.", r"backbone.layers.\1."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.relative_position_bias\.", ".attn."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
]


def _renamed(state):
    """Return their tensors by our names."""
    renamed, parts = {}, {}
    for key, value in state.items():
        for pattern, replacement in RENAME:
            key = re.sub(pattern, replacement, key)
        # Their projections of queries, keys and values are three matrices, ours one.
        letter = re.search(r"\.([qkv])_proj\.", key)
        if letter:
            key = key.replace(f".self_attn.{letter[1]}_proj.", ".self_attn.in_proj_")
            key = key.replace(f".attention.{letter[1]}_proj.", ".attn.qkv.")
            parts.setdefault(key, {})[letter[1]] = value
            continue
        # They count Swin's norms from 1, and merge patches at the end of a stage instead of the beginning.
        key = re.sub(r"^norms\.(\d)", lambda match: f"norms.{int(match[1]) - 1}", key)
        key = re.sub(
            r"^backbone\.layers\.(\d)\.downsample",
            lambda match: f"backbone.layers.{int(match[1]) + 1}.downsample",
            key,
        )
        renamed[key] = value
    return renamed | {key: torch.cat([letters[each] for each in "qkv"]) for key, letters in parts.items()}


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
    found = network.load_state_dict(_renamed(theirs.state_dict()), strict=False)
    assert not [key for key in found.missing_keys if "num_batches" not in key]
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


def test_losses_and_gradients_equal_transformers_at_the_same_points(monkeypatch):
    theirs, ours = _pair("resnet50", train_num_points=64, importance_sample_ratio=0.0)
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
        if not name.startswith(("pixel_decoder", "query_decoder")) or name not in gradients:
            continue
        scale = gradients[name].abs().max().clamp(min=1e-6)
        assert (parameter.grad - gradients[name]).abs().max() <= 1e-3 * scale + 1e-6, name
        compared += 1
    assert compared > 100
