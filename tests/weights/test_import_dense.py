"""Imports of networks that score pixels, without the libraries that wrote them: names, facts, refusals."""

import json
import os
import pickle
import sys
import types

import pytest
import torch
from torch import nn

from limner.core.errors import ConfigError, ModelError
from limner.networks import build_network
from limner.weights import import_checkpoint
from limner.weights.bundle import save_model

SMALL = {"widths": (4, 6, 8)}


@pytest.fixture
def state():
    """The tensors of a small U-Net of two classes, by limner's names."""
    torch.manual_seed(0)
    return build_network("unet", num_classes=2, **SMALL).state_dict()


@pytest.fixture
def importing(tmp_path):
    """Imports what is saved as a U-Net."""

    def do(content, name="model.pth", **asked):
        torch.save(content, tmp_path / name)
        settings = {"network": {"options": SMALL}}
        return import_checkpoint(tmp_path / name, network="unet", settings=settings, **asked)

    return do


def assert_holds(imported, state):
    found = imported.model.network.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_a_state_dict_fits_the_network_that_is_named(importing, state):
    imported = importing(state)
    assert_holds(imported, state)
    assert imported.facts["tensors matched"] == "by name"
    assert len(imported.tensors.used) == len(state)


def test_other_names_fit_by_the_order_of_their_shapes(importing, state):
    imported = importing({f"layer_{i}": tensor for i, tensor in enumerate(state.values())})
    assert "by order" in imported.facts["tensors matched"]
    assert_holds(imported, state)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {f"module.{name}": t for name, t in s.items()},
        lambda s: {f"_orig_mod.module.{name}": t for name, t in s.items()},
        lambda s: {"state_dict": {f"model.{n}": t for n, t in s.items()}, "pytorch-lightning_version": "2.5"},
        lambda s: {"module": s, "global_steps": 10, "ds_config": {}},
        lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}, "param_groups": []}},
        lambda s: {"state_dict": {f"net.{n}": t for n, t in s.items()} | {"criterion.weight": torch.ones(2)}},
    ],
    ids=["ddp", "compiled", "lightning", "deepspeed", "checkpoint", "criterion"],
)
def test_wrappers_are_removed(importing, state, wrap):
    assert_holds(importing(wrap(state)), state)


def test_the_moving_average_is_taken_and_said(importing, state):
    raw = {name: t + 1 if t.is_floating_point() else t for name, t in state.items()}
    average = {f"module.{n}": t for n, t in state.items()} | {"n_averaged": torch.tensor(3)}
    content = {"model": raw, "model_ema": average}
    imported = importing(content)
    assert_holds(imported, state)
    assert "moving average" in imported.facts["state dict"] and "--part model" in imported.facts["state dict"]
    assert "n_averaged" in imported.tensors.left_out
    assert_holds(importing(content, part="model"), raw)
    with pytest.raises(ModelError, match="no state dict 'teacher'. It has: model, model_ema"):
        importing(content, part="teacher")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(importing, state, kind):
    narrow = {name: t.to(kind) if t.is_floating_point() else t for name, t in state.items()}
    imported = importing(narrow)
    assert all(t.dtype != kind for t in imported.model.network.state_dict().values())
    assert str(kind).removeprefix("torch.") in imported.facts["precision"]


def test_every_tensor_is_accounted_for(importing, state):
    table = importing({**state, "extra.weight": torch.ones(3)}).tensors
    accounted = [*table.used, *table.renamed, *table.reshaped, *table.left_out]
    assert sorted(accounted) == sorted([*state, "extra.weight"])
    assert table.left_out == {"extra.weight": "the network has no such tensor"}
    assert dict(table.rows())["left out"].startswith("1 (extra.weight)")


def test_one_score_with_sigmoid_becomes_background_and_foreground(tmp_path):
    torch.manual_seed(0)
    theirs = build_network("unet", num_classes=1, **SMALL).eval()
    torch.save(theirs.state_dict(), tmp_path / "a.pth")
    imported = import_checkpoint(tmp_path / "a.pth", network="unet", settings={"network": {"options": SMALL}})
    images = torch.randn(1, 3, 40, 52)
    with torch.no_grad():
        expected = theirs(images).logits.sigmoid()
        found = imported.model.network(images).logits.softmax(1)[:, 1:]
    torch.testing.assert_close(found, expected)
    assert imported.model.labels.names == ("background", "foreground")
    assert any("background" in how for how in imported.tensors.reshaped.values())


def test_more_channels_need_a_normalisation(importing, tmp_path):
    torch.save(build_network("unet", num_classes=2, in_channels=4, **SMALL).state_dict(), tmp_path / "a.pth")
    values = {"mean": [1, 2, 3, 4], "std": [5, 6, 7, 8]}
    settings = {"network": {"options": SMALL}, "input": values}
    imported = import_checkpoint(tmp_path / "a.pth", network="unet", settings=settings)
    assert imported.model.plan.input.mean == (1, 2, 3, 4)
    assert imported.model.plan.input.std == (5, 6, 7, 8)
    assert "you set it" in imported.facts["normalisation"]


# --- what is refused, each with its sentence -----------------------------------------------------------


class _Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


def _refused(path, *words, **asked):
    with pytest.raises((ModelError, ConfigError)) as caught:
        import_checkpoint(path, **asked)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_a_checkpoint_that_was_cut_off(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    whole = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    _refused(tmp_path / "cut.pth", "is incomplete", "bytes", "Download or copy it again")


def test_a_pickle_with_code_is_named_and_not_run(tmp_path, state, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": state, "hook": _Evil()}, tmp_path / "a.pth")
    _refused(tmp_path / "a.pth", "none of its code was run", ".system")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"model": _Evil()}))
    _refused(tmp_path / "a.pkl", "none of its code was run", ".system")
    assert not (tmp_path / "evil").exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(nn.Sequential(nn.Conv2d(3, 2, 1)), tmp_path / "a.pth")
    _refused(tmp_path / "a.pth")


def test_a_model_of_ultralytics_is_refused_in_a_sentence(tmp_path):
    # A pickle that refers to their class, written by hand: limner does not install it.
    torch.save({"model": _Named("ultralytics.nn.tasks", "SegmentationModel")}, tmp_path / "yolo.pt")
    _refused(tmp_path / "yolo.pt", "Ultralytics", "AGPL-3.0", "ONNX")


class _Named:
    """Pickled as an object of another library."""

    def __init__(self, module, name):
        self._place = module, name

    def __reduce__(self):
        module, name = self._place
        parts = module.split(".")
        for i in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
        kind = type(name, (), {"__module__": module})
        setattr(sys.modules[module], name, kind)
        return kind, ()


def test_objects_of_a_framework_are_not_read(importing, state):
    log = _Named("mmengine.logging.history_buffer", "HistoryBuffer")
    imported = importing({"state_dict": state, "log": log})
    assert_holds(imported, state)
    assert imported.facts["objects"] == "not read: mmengine.logging.history_buffer.HistoryBuffer"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 12\n", "pointer of Git LFS"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b"", "is empty"),
        (b"\x1f\x8b\x08\x00", "gzip archive"),
        (b"hello world", "not a checkpoint"),
    ],
)
def test_files_that_are_no_weights(tmp_path, content, words):
    (tmp_path / "a.pth").write_bytes(content)
    _refused(tmp_path / "a.pth", words)


def test_numbers_that_are_none(importing, state):
    state["head.classifier.conv.weight"][0] = torch.nan
    with pytest.raises(ModelError, match="NaN or infinite[\\s\\S]*1 tensors, such as head.classifier.conv"):
        importing(state)


def test_a_head_of_another_size_and_another_network(importing, state):
    state["head.classifier.conv.bias"] = torch.zeros(3)
    with pytest.raises(ModelError, match="not of the network unet[\\s\\S]*head.classifier.conv.bias"):
        importing(state)
    with pytest.raises(ModelError, match="not of the network unet"):
        importing({"fc.weight": torch.zeros(3, 4)})


def test_an_unknown_state_dict_asks_for_its_network(tmp_path):
    torch.save({"trunk.weight": torch.zeros(3, 4)}, tmp_path / "a.pth")
    _refused(tmp_path / "a.pth", "another architecture", "trunk.weight", "--network NAME")


def test_a_classifier_of_images_is_for_training(tmp_path):
    torch.save({"layer1.weight": torch.zeros(3, 4), "fc.weight": torch.zeros(3, 4)}, tmp_path / "a.pth")
    _refused(tmp_path / "a.pth", "classifier of images", "limner train DATA --weights")


def test_a_cascade_of_heads_is_refused_by_name(tmp_path):
    names = ("backbone.conv1.weight", "decode_head.0.convs.0.conv.weight")
    block = "decode_head.1.fc_seg.weight"  # PointRend
    torch.save({name: torch.zeros(4, 4, 1, 1) for name in (*names, block)}, tmp_path / "a.pth")
    _refused(tmp_path / "a.pth", "cascade of several heads", "mmsegmentation", block)


def test_a_beit_without_its_configuration_is_refused(tmp_path):
    names = ("beit.encoder.layer.0.lambda_1", "decode_head.classifier.weight")
    torch.save({name: torch.zeros(4, 4, 1, 1) for name in names}, tmp_path / "a.pth")
    _refused(tmp_path / "a.pth", "which blocks of its BEiT", "config.json")


def test_a_beit_of_a_width_that_limner_lacks_is_refused(tmp_path):
    state = {
        "backbone.cls_token": torch.zeros(1, 1, 40),
        "backbone.patch_embed.projection.weight": torch.zeros(40, 3, 16, 16),
        "backbone.layers.0.attn.relative_position_bias_table": torch.zeros(7 * 7 + 3, 4),
        "decode_head.conv_seg.weight": torch.zeros(3, 8, 1, 1),
    }
    torch.save(state, tmp_path / "a.pth")
    _refused(tmp_path / "a.pth", "BEiT is not supported", "40 channels and 4 heads", "vit_base_patch16_224")


def test_a_dpt_on_registers_is_refused(tmp_path):
    names = ("decoder.fusion_blocks.0.residual_conv_block1.conv_1.weight", "encoder.model.reg_token")
    state = {name: torch.zeros(4, 4, 3, 3) for name in names} | {
        "encoder.model.cls_token": torch.zeros(1, 1, 4),
        "encoder.model.pos_embed": torch.zeros(1, 16, 4),  # for the patches alone
    }
    torch.save(state, tmp_path / "a.pth")
    _refused(tmp_path / "a.pth", "encoder that limner's does not have", "16 positions", "no registers")


def _milesial(name):
    """Return the name in github.com/milesial/Pytorch-UNet of a tensor of limner's U-Net."""
    part, level, *rest = name.split(".")
    if part == "head":
        return f"outc.conv.{rest[-1]}"
    if rest[0] == "up":
        return f"up{int(level) + 1}.up.{rest[-1]}"
    conv, kind, end = rest[-3:]
    place = 3 * int(conv) + (kind == "norm")
    if part == "decoder":
        return f"up{int(level) + 1}.conv.double_conv.{place}.{end}"
    return f"{f'down{level}.maxpool_conv.1' if int(level) else 'inc'}.double_conv.{place}.{end}"


@pytest.mark.parametrize("upsampling", ["transposed", "aligned"])
def test_milesials_unet(tmp_path, upsampling):
    torch.manual_seed(0)
    options = {"widths": (4, 6, 8, 10, 10 if upsampling == "aligned" else 12), "upsampling": upsampling}
    network = build_network("unet", num_classes=2, pads="maps", **options)
    tensors = {_milesial(name): tensor for name, tensor in network.state_dict().items()}
    torch.save({**tensors, "mask_values": [0, 255]}, tmp_path / "checkpoint_epoch5.pth")
    imported = import_checkpoint(tmp_path / "checkpoint_epoch5.pth")
    assert_holds(imported, network.state_dict())
    assert imported.model.plan.input.mean == (0, 0, 0) and imported.model.plan.input.std == (255, 255, 255)
    assert imported.tensors.left_out == {"mask_values": "not a tensor"}


def test_the_account_is_in_the_card(importing, state, tmp_path):
    imported = importing(state)
    save_model(tmp_path / "model", imported.model, origin=imported.origin)
    card = json.loads((tmp_path / "model" / "model.json").read_text("utf-8"))
    assert card["origin"]["tensors"]["used"] == sorted(state)


def _mmseg_block(name, narrow, wide, size=3):
    norm = {key: torch.ones(wide) for key in ("weight", "bias", "running_mean", "running_var")}
    norm["num_batches_tracked"] = torch.tensor(1)
    blocks = {f"{name}.bn.{key}": tensor for key, tensor in norm.items()}
    draws = torch.Generator().manual_seed(wide)
    return {f"{name}.conv.weight": torch.randn(wide, narrow, size, size, generator=draws), **blocks}


@pytest.fixture
def mmseg_unet(tmp_path):
    """A U-Net of two levels under mmsegmentation's names, from its public code."""
    state = {
        **_mmseg_block("backbone.encoder.0.0.convs.0", 3, 4),
        **_mmseg_block("backbone.encoder.0.0.convs.1", 4, 4),
        **_mmseg_block("backbone.encoder.1.1.convs.0", 4, 8),
        **_mmseg_block("backbone.encoder.1.1.convs.1", 8, 8),
        **_mmseg_block("backbone.decoder.0.upsample.interp_upsample.1", 8, 4, 1),
        **_mmseg_block("backbone.decoder.0.conv_block.convs.0", 8, 4),
        **_mmseg_block("backbone.decoder.0.conv_block.convs.1", 4, 4),
        **_mmseg_block("decode_head.convs.0", 4, 4),
        "decode_head.conv_seg.weight": torch.ones(2, 4, 1, 1),
        "decode_head.conv_seg.bias": torch.ones(2),
    }
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "iter_1.pth")
    return tmp_path / "iter_1.pth"


def test_images_are_resized_as_the_configuration_beside_the_file_says(mmseg_unet):
    pipeline = "[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, 512), keep_ratio=True)]"
    slide = "model = dict(type='EncoderDecoder', test_cfg=dict(mode='slide', crop_size=64, stride=32))"
    (mmseg_unet.parent / "unet.py").write_text(f"{slide}\ntest_pipeline = {pipeline}\n", "utf-8")
    imported = import_checkpoint(mmseg_unet)
    inference = imported.model.plan.inference
    assert (inference.resize.shortest, inference.resize.longest, inference.window) == (512, 2048, (64, 64))
    own = {"inference": {"resize": {"shortest": 100, "longest": None}, "window": None}}
    imported = import_checkpoint(mmseg_unet, settings=own)
    assert imported.facts["resize"] == "shorter side 100 (you set it)"
    assert "sliding window" not in imported.facts


def test_another_script_beside_the_file_is_no_configuration(mmseg_unet):
    (mmseg_unet.parent / "plot.py").write_text("title = 'a plot'\n", "utf-8")
    imported = import_checkpoint(mmseg_unet)
    assert imported.model.plan.network.options["widths"] == (4, 8)
    assert imported.facts["resize"].startswith("images as they are (no configuration is in the file")
    assert "no configuration" in imported.facts["channel order"]


def test_a_configuration_leaves_nothing_open(mmseg_unet):
    topics = [choice.topic for choice in import_checkpoint(mmseg_unet).open_choices]
    assert topics == ["normalisation", "channel order"]
    said = "data_preprocessor=dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], bgr_to_rgb=False)"
    (mmseg_unet.parent / "unet.py").write_text(f"model = dict({said})\n", "utf-8")
    imported = import_checkpoint(mmseg_unet)
    assert imported.open_choices == ()
    assert imported.facts["channel order"].startswith("BGR")
    first = imported.model.network.state_dict()["encoder.0.0.conv.weight"]
    assert not torch.equal(first, first.flip(1))
    # Whoever knows better than the configuration is believed.
    other = import_checkpoint(mmseg_unet, settings={"checkpoint": {"channel_order": "rgb"}})
    assert torch.equal(other.model.network.state_dict()["encoder.0.0.conv.weight"], first.flip(1))
    assert other.facts["channel order"] == "RGB (you set it)"
