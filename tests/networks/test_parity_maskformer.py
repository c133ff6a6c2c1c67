"""The same weights give the same scores as Hugging Face transformers' MaskFormer (its semantic form)."""

import re

import pytest
import torch

from limner.core.outputs import QueryMasks
from limner.core.segments import SegmentTargets
from limner.losses.segment_set import SegmentSetLoss
from limner.networks import NETWORKS, build_network

pytestmark = pytest.mark.peer

CLASSES = 7
# From transformers' names to ours: (pattern, replacement), applied in turn.
RENAME = [
    (r"^model\.pixel_level_module\.encoder\.", "backbone."),
    (r"^model\.pixel_level_module\.decoder\.mask_projection\.", "pixel_decoder.mask_features."),
    (r"^model\.pixel_level_module\.decoder\.fpn\.stem\.", "pixel_decoder.smoothing.3."),
    (r"^model\.pixel_level_module\.decoder\.fpn\.layers\.(\d)\.proj\.", r"pixel_decoder.laterals.-\1."),
    (r"^model\.pixel_level_module\.decoder\.fpn\.layers\.(\d)\.block\.", r"pixel_decoder.smoothing.-\1."),
    (r"^(pixel_decoder\.\w+\.-?\d)\.0\.", r"\1.conv."),
    (r"^(pixel_decoder\.\w+\.-?\d)\.1\.", r"\1.norm."),
    (r"^model\.transformer_module\.queries_embedder\.weight$", "query_decoder.query_embed"),
    (r"^model\.transformer_module\.input_projection\.", "query_decoder.input_proj."),
    (r"^model\.transformer_module\.decoder\.layernorm\.", "query_decoder.norm."),
    (r"^model\.transformer_module\.decoder\.", "query_decoder."),
    (r"^(query_decoder\.layers\.\d)\.encoder_attn\.", r"\1.cross_attn."),
    (r"^(query_decoder\.layers\.\d)\.encoder_attn_layer_norm\.", r"\1.cross_norm."),
    (r"^(query_decoder\.layers\.\d)\.self_attn_layer_norm\.", r"\1.self_norm."),
    (r"^(query_decoder\.layers\.\d)\.final_layer_norm\.", r"\1.feedforward.norm."),
    (r"^(query_decoder\.layers\.\d)\.(?:mlp\.)?fc(\d)\.", r"\1.feedforward.linear\2."),
    (r"\.o_proj\.", ".out_proj."),
    (r"^class_predictor\.", "head.class_embed."),
    (r"^mask_embedder\.0\.0\.", "head.mask_embed.0."),
    (r"^mask_embedder\.1\.0\.", "head.mask_embed.2."),
    (r"^mask_embedder\.2\.0\.", "head.mask_embed.4."),
    (r"^backbone\.embedder\.embedder\.convolution\.", "backbone.conv1."),
    (r"^backbone\.embedder\.embedder\.normalization\.", "backbone.bn1."),
    (r"^(backbone)\.encoder\.stages\.(\d)\.layers\.", r"\1.layer\2."),
    (r"^(backbone\.layer.*)\.shortcut\.convolution\.", r"\1.downsample.0."),
    (r"^(backbone\.layer.*)\.shortcut\.normalization\.", r"\1.downsample.1."),
]


def _renamed(state):
    """Return their tensors by our names; their queries, keys and values are three matrices, ours one."""
    renamed, parts = {}, {}
    for key, value in state.items():
        for pattern, replacement in RENAME:
            key = re.sub(pattern, replacement, key)
        # They count the pyramid's steps from the coarsest, the blocks of a ResNet and its stages from 0.
        key = re.sub(r"\.-(\d)\.", lambda match: f".{2 - int(match[1])}.", key)
        key = re.sub(r"^backbone\.layer(\d)", lambda match: f"backbone.layer{int(match[1]) + 1}", key)
        key = re.sub(
            r"^(backbone\.layer\d\.\d+)\.layer\.(\d)\.(conv|norm)\w+\.",
            lambda match: f"{match[1]}.{ {'conv': 'conv', 'norm': 'bn'}[match[3]] }{int(match[2]) + 1}.",
            key,
        )
        letter = re.search(r"\.([qkv])_proj\.", key)
        if letter:
            parts.setdefault(key.replace(f".{letter[1]}_proj.", ".in_proj_"), {})[letter[1]] = value
        elif not key.startswith("criterion."):
            renamed[key] = value
    return renamed | {key: torch.cat([letters[each] for each in "qkv"]) for key, letters in parts.items()}


@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_scores_equal_transformers(size, randomize):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    backbone = transformers.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"])
    decoder = transformers.DetrConfig(num_queries=12, decoder_layers=3)
    torch.manual_seed(0)
    settings = transformers.MaskFormerConfig(
        backbone_config=backbone, decoder_config=decoder, num_labels=CLASSES
    )
    theirs = randomize(transformers.MaskFormerForInstanceSegmentation(settings))
    ours = build_network("maskformer", num_classes=CLASSES, num_queries=12, decoder_layers=3).eval()
    found = ours.load_state_dict(_renamed(theirs.state_dict()), strict=False)
    assert not found.unexpected_keys
    assert not [key for key in found.missing_keys if "num_batches" not in key]
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = theirs(images), ours(images)
    torch.testing.assert_close(found.class_logits, expected.class_queries_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.mask_logits, expected.masks_queries_logits, atol=1e-4, rtol=1e-4)


def test_the_loss_at_all_pixels_equals_transformers(monkeypatch):
    maskformer = pytest.importorskip(
        "transformers.models.maskformer.modeling_maskformer", reason="transformers is not installed"
    )
    height, width = 12, 16
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centres = torch.stack(((columns + 0.5) / width, (rows + 0.5) / height), -1).view(-1, 2)
    draws = torch.Generator().manual_seed(0)
    outputs = QueryMasks(
        torch.randn(2, 9, CLASSES + 1, generator=draws),
        torch.randn(2, 9, 4, generator=draws),
        torch.randn(2, 4, height, width, generator=draws),
    )
    masks = torch.rand(2, 3, height, width, generator=draws) > 0.5
    labels = [torch.tensor([0, 3, 3]), torch.tensor([6, 1, 2])]
    monkeypatch.setattr(torch, "rand", lambda shape, **_: centres.expand(shape).contiguous())
    matcher = maskformer.MaskFormerHungarianMatcher(cost_class=1.0, cost_mask=20.0, cost_dice=1.0)
    reference = maskformer.MaskFormerLoss(CLASSES, matcher, weight_dict={}, eos_coef=0.1)
    theirs = reference(outputs.mask_logits, outputs.class_logits, list(masks.float()), labels)
    targets = [SegmentTargets(own, each) for own, each in zip(masks, labels, strict=True)]
    ours = SegmentSetLoss(**NETWORKS["maskformer"].loss, num_points=height * width)(outputs, targets)
    torch.testing.assert_close(ours["class"], theirs["loss_cross_entropy"])
    torch.testing.assert_close(ours["mask"], 20 * theirs["loss_mask"])
    torch.testing.assert_close(ours["dice"], theirs["loss_dice"])
