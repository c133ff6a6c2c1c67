"""The same weights give the same boxes, losses and gradients as transformers' Deformable DETR."""

import re

import pytest
import torch

from limner.core.box_geometry import as_corners
from limner.core.boxes import BoxTargets
from limner.losses.box_set import BoxSetLoss
from limner.networks import build_network

pytestmark = pytest.mark.peer

CLASSES, SIZE = 7, (96, 128)
FORMS = {
    "plain": {},
    "refinement": {"refines_boxes": True},
    "two-stage": {"refines_boxes": True, "two_stage": True},
}
NAMES = (
    (r"model\.level_embed", "level_embed"),
    (r"model\.input_proj\.(\d)\.0\.", r"input_proj.\1.conv."),
    (r"model\.input_proj\.(\d)\.1\.", r"input_proj.\1.norm."),
    (r"model\.encoder\.layers\.(\d+)\.self_attn_layer_norm", r"encoder.\1.norm1"),
    (r"model\.encoder\.layers\.(\d+)\.", r"encoder.\1."),
    (r"model\.decoder\.layers\.(\d+)\.self_attn_layer_norm", r"decoder.layers.\1.self_norm"),
    (r"model\.decoder\.layers\.(\d+)\.encoder_attn_layer_norm", r"decoder.layers.\1.cross_norm"),
    (r"model\.decoder\.layers\.(\d+)\.encoder_attn\.", r"decoder.layers.\1.cross_attn."),
    (r"model\.decoder\.layers\.(\d+)\.", r"decoder.layers.\1."),
    (r"(coder(?:\.layers)?\.\d+\.)(?:mlp\.)?fc1\.", r"\1feedforward.linear1."),
    (r"(coder(?:\.layers)?\.\d+\.)(?:mlp\.)?fc2\.", r"\1feedforward.linear2."),
    (r"(coder(?:\.layers)?\.\d+\.)final_layer_norm\.", r"\1feedforward.norm."),
    (r"self_attn\.o_proj\.", "self_attn.out_proj."),
    (r"model\.query_position_embeddings\.", "decoder.query_embed."),
    (r"model\.reference_points\.", "decoder.reference_points."),
    (r"model\.enc_output\.", "decoder.proposal_output."),
    (r"model\.enc_output_norm\.", "decoder.proposal_norm."),
    (r"model\.pos_trans\.", "decoder.query_output."),
    (r"model\.pos_trans_norm\.", "decoder.query_norm."),
    (r"^(?:model\.decoder\.)?class_embed\.", "decoder.classifiers."),
    (r"^(?:model\.decoder\.)?bbox_embed\.(\d+)\.layers\.2\.", r"decoder.regressors.\1.last."),
    (r"^(?:model\.decoder\.)?bbox_embed\.(\d+)\.layers\.(\d)\.", r"decoder.regressors.\1.hidden.\2."),
)
"""Their names, by pattern -> ours."""


def renamed(state):
    """Return their tensors of encoder, decoder and heads by our names, queries, keys and values joined."""
    found = {}
    for name, value in state.items():
        if ".backbone." in name:
            continue
        for pattern, ours in NAMES:
            name = re.sub(pattern, ours, name)
        found[name] = value
    joined = {}
    for name, value in found.items():
        match = re.fullmatch(r"(decoder\.layers\.\d+\.self_attn\.)q_proj\.(weight|bias)", name)
        if match:
            parts = [found[f"{match[1]}{letter}_proj.{match[2]}"] for letter in "qkv"]
            joined[f"{match[1]}in_proj_{match[2]}"] = torch.cat(parts)
        elif not re.search(r"decoder\.layers\.\d+\.self_attn\.[kv]_proj", name):
            joined[name] = value
    return joined


def pair(form):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    options = FORMS[form]
    torch.manual_seed(0)
    settings = transformers.DeformableDetrConfig(
        backbone_config=transformers.ResNetConfig(out_features=["stage2", "stage3", "stage4"]),
        use_timm_backbone=False,
        num_labels=CLASSES,
        two_stage_num_proposals=20,
        num_queries=20,
        encoder_layers=2,
        decoder_layers=3,
        with_box_refine=options.get("refines_boxes", False),
        two_stage=options.get("two_stage", False),
        auxiliary_loss=True,
    )
    theirs = transformers.DeformableDetrForObjectDetection(settings).eval()
    with torch.no_grad():  # the last layers of boxes are zero at first, which would hide mistakes
        for parameter in theirs.parameters():
            if parameter.abs().max() == 0:
                parameter.normal_(std=0.05)
    ours = build_network(
        "deformable-detr", num_classes=CLASSES, num_queries=20, encoder_layers=2, decoder_layers=3, **options
    ).eval()
    state = {name: value for name, value in renamed(theirs.state_dict()).items() if name in ours.state_dict()}
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith("backbone.") for name in missing)
    return theirs, ours


def features(theirs, ours, monkeypatch):
    """Return images of which both backbones have the same maps, since they are compared elsewhere."""
    maps = [torch.randn(2, width, -(-SIZE[0] // s), -(-SIZE[1] // s)) for width, s in
            ((512, 8), (1024, 16), (2048, 32))]  # fmt: skip
    images = torch.randn(2, 3, *SIZE)
    mask = [(one, torch.ones(one.shape[0], *one.shape[2:], dtype=torch.bool)) for one in maps]
    monkeypatch.setattr(theirs.model.backbone, "forward", lambda *_: mask)
    monkeypatch.setattr(ours.backbone, "forward", lambda _: (None,) * ours._first + tuple(maps))
    return images


@pytest.mark.parametrize("form", FORMS)
def test_boxes_equal_transformers(form, monkeypatch):
    theirs, ours = pair(form)
    images = features(theirs, ours, monkeypatch)
    with torch.no_grad():
        expected, found = theirs(images), ours(images)
    torch.testing.assert_close(found.class_logits, expected.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.boxes, expected.pred_boxes, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_losses_and_gradients_equal_transformers(form, monkeypatch):
    theirs, ours = pair(form)
    images = features(theirs, ours, monkeypatch)
    middles = [torch.rand(count, 4) * 0.4 + 0.3 for count in (3, 1)]
    labels = [torch.tensor([0, 3, 3]), torch.tensor([6])]
    rows = [{"class_labels": label, "boxes": box} for label, box in zip(labels, middles, strict=True)]
    expected = theirs(images, labels=rows)
    ours.decoder.train()
    for module in ours.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
    scale = torch.tensor([SIZE[1], SIZE[0]] * 2)
    targets = [
        BoxTargets(as_corners(box) * scale, label, torch.zeros(len(label), dtype=torch.bool))
        for box, label in zip(middles, labels, strict=True)
    ]
    # Theirs weights the class by 1, not by 2 as the authors, and has no loss of the first stage.
    parts = BoxSetLoss(class_weight=1.0)(ours(images), targets, SIZE)
    total = sum(value for name, value in parts.items() if not name.startswith("first_"))
    torch.testing.assert_close(total, expected.loss.squeeze(), rtol=1e-4, atol=0)
    total.backward()
    expected.loss.backward()
    gradients = renamed({n: p.grad for n, p in theirs.named_parameters() if p.grad is not None})
    own = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    # Without a second stage, their heads of the classes share one tensor even where boxes are refined.
    for kind in () if "decoder.classifiers.1.weight" in gradients else ("weight", "bias"):
        heads = [name for name in own if re.fullmatch(rf"decoder\.classifiers\.\d+\.{kind}", name)]
        own[f"decoder.classifiers.0.{kind}"] = sum(own.pop(name) for name in heads)
    compared = 0
    for name, gradient in own.items():
        if name not in gradients:
            continue
        # Of all values together: where a ReLU is at its corner, rounding decides about single ones.
        error = (gradient - gradients[name]).norm()
        assert error <= 1e-3 * gradients[name].norm() + 1e-6, name
        compared += 1
    assert compared > 60
