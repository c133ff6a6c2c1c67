"""Networks of queries of other libraries with random weights; limner's imports give the same outputs."""

import re

import peers
import pytest
import torch
from safetensors.torch import load_file

from limner.core.errors import ConfigError
from limner.weights import import_checkpoint
from limner.weights.verification import verify_import

pytestmark = pytest.mark.peer

CLASSES, SIZES = 7, ((96, 128), (75, 101))
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
FORMS = {
    "plain": {},
    "refinement": {"with_box_refine": True},
    "two-stage": {"with_box_refine": True, "two_stage": True},
}


def _images(size):
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))


def _deformable_detr(form):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(0)
    backbone = {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}
    config = transformers.DeformableDetrConfig(
        backbone_config=transformers.ResNetConfig(out_features=["stage2", "stage3", "stage4"], **backbone),
        use_timm_backbone=False,
        id2label={i: f"kind {i}" for i in range(CLASSES)},
        num_queries=20,
        two_stage_num_proposals=20,
        encoder_layers=2,
        decoder_layers=3,
        **FORMS[form],
    )
    network = transformers.DeformableDetrForObjectDetection(config).eval()
    with torch.no_grad():  # much is zero or one at first, which would hide mistakes
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and tensor.ndim < 2 or tensor.abs().max() == 0:
                tensor.add_(0.05 * torch.randn_like(tensor))
    return network


def _assert_same_boxes(imported, theirs):
    for size in SIZES:
        with torch.no_grad():
            expected, found = theirs(_images(size)), imported.model.network(_images(size))
        assert expected.logits.std(1).min() > 1e-3
        torch.testing.assert_close(found.class_logits, expected.logits, **CLOSE)
        torch.testing.assert_close(found.boxes, expected.pred_boxes, **CLOSE)


@pytest.mark.parametrize("form", FORMS)
def test_transformers_deformable_detr(tmp_path, form):
    theirs = _deformable_detr(form)
    theirs.save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path)
    _assert_same_boxes(imported, theirs)
    options = imported.model.plan.network.options
    assert (options["refines_boxes"], options["two_stage"]) == (form != "plain", form == "two-stage")
    assert imported.model.labels.names == tuple(f"kind {i}" for i in range(CLASSES))
    with pytest.raises(ConfigError, match="its task is detection"):
        import_checkpoint(tmp_path, task="semantic")


# From transformers' names to the authors', by the conversion script of transformers.
AUTHORS = (
    (r"^model\.backbone\.conv_encoder\.model\.", "backbone.0.body."),
    (r"\.embedder\.embedder\.convolution\.", ".conv1."),
    (r"\.embedder\.embedder\.normalization\.", ".bn1."),
    (r"\.shortcut\.convolution\.", ".downsample.0."),
    (r"\.shortcut\.normalization\.", ".downsample.1."),
    *((rf"\.encoder\.stages\.{i}\.layers\.", f".layer{i + 1}.") for i in range(4)),
    *((rf"\.layer\.{i}\.convolution\.", f".conv{i + 1}.") for i in range(3)),
    *((rf"\.layer\.{i}\.normalization\.", f".bn{i + 1}.") for i in range(3)),
    (r"^model\.input_proj\.", "input_proj."),
    (r"^model\.query_position_embeddings\.", "query_embed."),
    (r"^model\.decoder\.(class|bbox)_embed\.", r"\1_embed."),
    (r"^model\.", "transformer."),
    (r"(encoder\.layers\.\d+)\.self_attn_layer_norm\.", r"\1.norm1."),
    (r"(encoder\.layers\.\d+)\.final_layer_norm\.", r"\1.norm2."),
    (r"(decoder\.layers\.\d+)\.encoder_attn\.", r"\1.cross_attn."),
    (r"(decoder\.layers\.\d+)\.encoder_attn_layer_norm\.", r"\1.norm1."),
    (r"(decoder\.layers\.\d+)\.final_layer_norm\.", r"\1.norm3."),
    (r"transformer\.encoder\.(.*)\.norm3\.", r"transformer.encoder.\1.norm2."),
    (r"\.(?:mlp\.)?fc([12])\.", r".linear\1."),
    (r"\.self_attn\.o_proj\.", ".self_attn.out_proj."),
)


def _authors_state(theirs, folder):
    theirs.save_pretrained(folder)  # whose names are those of version 4, unlike those in memory
    state = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        decoder = re.match(r"model\.decoder\.layers\.\d+\.self_attn_layer_norm\.", name)
        ours = name.replace("self_attn_layer_norm", "norm2") if decoder else name
        for pattern, replacement in AUTHORS:
            ours = re.sub(pattern, replacement, ours)
        if not ours.endswith("num_batches_tracked"):  # their norms are frozen
            state[ours] = tensor
    for name in [name for name in state if re.search(r"decoder\..*\.q_proj\.", name)]:
        parts = [state.pop(name.replace(".q_proj.", f".{letter}_proj.")) for letter in "qkv"]
        state[name.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
    return state


@pytest.mark.parametrize("form", FORMS)
def test_the_authors_deformable_detr(tmp_path, form):
    theirs = _deformable_detr(form)
    state = _authors_state(theirs, tmp_path)
    content = {"model": state, "epoch": 49, "args": {"lr": 2e-4}}
    torch.save(content, tmp_path / "r50_deformable_detr-checkpoint.pth")
    settings = {"network": {"options": {"num_queries": 20}}}
    imported = import_checkpoint(tmp_path / "r50_deformable_detr-checkpoint.pth", settings=settings)
    _assert_same_boxes(imported, theirs)
    assert imported.model.plan.inference.resize.longest == 1333
    table = imported.tensors
    accounted = {*table.used, *table.renamed, *table.reshaped, *table.left_out}
    assert accounted == state.keys()


def test_transformers_eomt(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.EomtConfig(
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=6,
        image_size=64,
        num_blocks=3,
        num_queries=9,
        id2label={i: f"kind {i}" for i in range(CLASSES)},
    )
    theirs = peers.randomize(transformers.EomtForUniversalSegmentation(config))
    theirs.attn_mask_probs.copy_(torch.zeros(3))  # as in published checkpoints
    theirs.save_pretrained(tmp_path)
    imported = import_checkpoint(tmp_path, task="instance")
    with torch.no_grad():
        expected, found = theirs(_images((64, 64))), imported.model.network(_images((64, 64)))
    torch.testing.assert_close(found.class_logits, expected.class_queries_logits, **CLOSE)
    scale = expected.masks_queries_logits.abs().max()
    assert (found.mask_logits - expected.masks_queries_logits).abs().max() < 1e-5 * scale
    assert verify_import(imported).sizes == ((64, 64),)  # --verify takes the size that its positions are for
