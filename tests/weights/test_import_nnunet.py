"""Results folders of nnU-Net with random weights; limner's imports give the same scores and gradients."""

import json

import numpy as np
import peers
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from limner.cli.app import app
from limner.core.errors import ModelError
from limner.inference.ensemble import Ensemble, joined_predictor, open_members
from limner.weights import import_checkpoint
from limner.weights.project_folders import nnunet_folds
from limner.weights.verification import verify_import

pytestmark = pytest.mark.peer

LABELS = {"background": 0, "anterior": 1, "posterior": 2}
DATASET = {"channel_names": {"0": "MRI"}, "labels": LABELS, "file_ending": ".nii.gz"}


@pytest.fixture(scope="module")
def unets():
    return pytest.importorskip(
        "dynamic_network_architectures.architectures.unet",
        reason="dynamic-network-architectures is not installed",
    )


def architecture(kind, dims, **changes):
    """Return the architecture as in plans.json, without the count of classes and channels."""
    blocks = "n_conv_per_stage" if kind == "PlainConvUNet" else "n_blocks_per_stage"
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{kind}",
        "arch_kwargs": {
            "n_stages": 4,
            "features_per_stage": [4, 8, 12, 16],
            "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
            "kernel_sizes": [[3] * dims] * 4,
            "strides": [[1] * dims, *[[2] * dims] * 3],
            blocks: [2, 1, 2, 2],
            "n_conv_per_stage_decoder": [1, 2, 2],
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
            **changes,
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def build(unets, given, channels=1):
    arguments = dict(given["arch_kwargs"])
    dims = int(arguments["conv_op"][-2])
    arguments["conv_op"] = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    arguments["norm_op"] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dims]
    arguments["nonlin"] = nn.LeakyReLU
    kind = getattr(unets, given["network_class_name"].rpartition(".")[2])
    return peers.randomize(kind(channels, num_classes=len(LABELS), deep_supervision=True, **arguments))


def plans_of(given, dims, **changes):
    configuration = {
        "spacing": [3.0, 1.0, 0.5][-dims:],
        "patch_size": [16, 32, 64][-dims:],
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "architecture": given,
        **changes.pop("configuration", {}),
    }
    name = {2: "2d", 3: "3d_fullres"}[dims]
    return {"configurations": {name: configuration}, "transpose_forward": [0, 1, 2], **changes}, name


def results(folder, theirs, plans, name, *, folds=("fold_0",), dataset=DATASET):
    """Write a folder as nnU-Net does, with an optimizer and a scaler that are not needed."""
    path = folder / f"nnUNetTrainer__nnUNetPlans__{name}"
    path.mkdir()
    (path / "plans.json").write_text(json.dumps(plans))
    (path / "dataset.json").write_text(json.dumps(dataset))
    for fold in folds:
        (path / fold).mkdir()
        checkpoint = {
            "network_weights": theirs.state_dict(),
            "optimizer_state": torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9).state_dict(),
            "grad_scaler_state": None,
            "logging": {"mean_fg_dice": [np.float64(0.5)], "epoch_start_timestamps": [1.0]},
            "_best_ema": np.float32(0.5),
            "current_epoch": 1000,
            "init_args": {
                "plans": plans,
                "configuration": name,
                "fold": 0,
                "dataset_json": dataset,
                "device": torch.device("cpu"),
            },
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": (0, 1, 2)[: len(theirs.encoder.strides[0])],
        }
        torch.save(checkpoint, path / fold / "checkpoint_final.pth")
    return path


def assert_same(imported, theirs, size, order=None):
    """Scores and gradients of all resolutions are the same; `order` are nnU-Net's axes of the volume."""
    dims = len(size)
    order = order or tuple(range(dims))
    back = tuple(np.argsort(order))
    draws = torch.Generator().manual_seed(1)
    images = torch.randn(1, 1, *size, generator=draws)
    ours = imported.model.network.train()  # neither dropout nor statistics, but all resolutions
    first, second = images.clone().requires_grad_(), images.clone().requires_grad_()
    outputs = ours(first)
    expected = theirs(second.permute(0, 1, *(2 + axis for axis in order)))
    expected = [each.permute(0, 1, *(2 + axis for axis in back)) for each in expected]
    found = [outputs.logits, *(side.logits for side in outputs.auxiliary)]
    assert len(found) == len(expected) - 1  # the coarsest is not trained
    for one, other in zip(found, expected, strict=False):
        assert other.std() > 1e-2
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    weights = [outputs.weight, *(side.weight for side in outputs.auxiliary)]
    # As in nnUNetTrainer: 1, 1/2, 1/4, ..., 0, divided by their sum.
    by_hand = np.array([0.5**level for level in range(len(expected))])
    by_hand[-1] = 0
    np.testing.assert_allclose(weights, by_hand[:-1] / by_hand.sum(), rtol=1e-6)
    noise = [torch.randn(each.shape, generator=draws) for each in found]
    sum((each * n).mean() for each, n in zip(found, noise, strict=True)).backward()
    sum((each * n).mean() for each, n in zip(expected, noise, strict=False)).backward()
    peers.assert_same_gradients(first.grad, second.grad)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_a_results_folder(tmp_path, unets, kind, dims):
    given = architecture(kind, dims)
    theirs = build(unets, given)
    imported = import_checkpoint(results(tmp_path, theirs, *plans_of(given, dims)))
    assert imported.source == "nnU-Net"
    plan = imported.model.plan
    assert plan.data.label_table.names == tuple(LABELS)
    assert plan.input.spacing_mm == (3.0, 1.0, 0.5)[-dims:]
    assert plan.input.resample
    assert plan.input.normalize_each
    assert plan.input.slice_axis == {2: 0, 3: None}[dims]
    assert plan.inference.window == (16, 32, 64)[-dims:]
    assert (plan.inference.overlap, plan.inference.flips) == (0.5, True)
    assert plan.augment.flip_axes == (0, 1, 2)[:dims]
    for size in ((16, 32, 48)[-dims:], (24, 16, 64)[-dims:]):
        assert_same(imported, theirs, size)


@pytest.mark.parametrize("kind", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_thick_slices_and_transposed_axes(tmp_path, unets, kind):
    """The thick axis is the last of the file, and the first in nnU-Net."""
    given = architecture(
        kind,
        3,
        kernel_sizes=[[1, 3, 3], [1, 3, 3], [3, 3, 3], [3, 3, 3]],
        strides=[[1, 1, 1], [1, 2, 2], [1, 2, 2], [2, 2, 2]],
    )
    theirs = build(unets, given)
    plans, name = plans_of(given, 3, transpose_forward=[2, 0, 1], transpose_backward=[1, 2, 0])
    imported = import_checkpoint(results(tmp_path, theirs, plans, name))
    # Spacing (3, 1, 0.5) in nnU-Net's order is of the file's axes 2, 0, 1.
    assert imported.model.plan.input.spacing_mm == (1.0, 0.5, 3.0)
    assert imported.model.plan.inference.window == (32, 64, 16)
    assert_same(imported, theirs, (32, 48, 8), order=(2, 0, 1))


def test_plans_of_old_versions(tmp_path, unets):
    given = architecture("PlainConvUNet", 3)
    theirs = build(unets, given)
    plans, name = plans_of(given, 3)
    configuration = plans["configurations"][name]
    del configuration["architecture"]
    configuration |= {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 16,
        "conv_kernel_sizes": [[3, 3, 3]] * 4,
        "pool_op_kernel_sizes": [[1, 1, 1], *[[2, 2, 2]] * 3],
        "n_conv_per_stage_encoder": [2, 1, 2, 2],
        "n_conv_per_stage_decoder": [1, 2, 2],
    }
    # The widths of the old rule are 4, 8, 16, 16.
    wide = architecture("PlainConvUNet", 3, features_per_stage=[4, 8, 16, 16])
    theirs = build(unets, wide)
    assert_same(import_checkpoint(results(tmp_path, theirs, plans, name)), theirs, (16, 32, 16))


def test_ct_is_clipped_and_normalised_by_the_plan(tmp_path, unets):
    given = architecture("PlainConvUNet", 3)
    ct = {"mean": 100.0, "std": 50.0, "percentile_00_5": -20.0, "percentile_99_5": 300.0}
    plans, name = plans_of(
        given,
        3,
        configuration={"normalization_schemes": ["CTNormalization"]},
        foreground_intensity_properties_per_channel={"0": ct},
    )
    plan = import_checkpoint(results(tmp_path, build(unets, given), plans, name)).model.plan
    assert (plan.input.mean, plan.input.std, plan.input.clip) == ((100.0,), (50.0,), ((-20.0, 300.0),))
    assert not plan.input.normalize_each


@pytest.mark.parametrize(("is_masked", "over"), [(True, "nonzero"), (False, "nonzero_box")])
def test_statistics_are_of_the_voxels_that_nnunet_takes(tmp_path, unets, is_masked, over):
    given = architecture("PlainConvUNet", 3)
    plans, name = plans_of(given, 3, configuration={"use_mask_for_norm": [is_masked]})
    folder = results(tmp_path, build(unets, given), plans, name)
    plan = import_checkpoint(folder).model.plan
    assert (plan.input.normalize_each, plan.input.normalize_over) == (True, over)


def test_the_fold_is_chosen_and_said(tmp_path, unets):
    given = architecture("PlainConvUNet", 2)
    folder = results(tmp_path, build(unets, given), *plans_of(given, 2), folds=("fold_0", "fold_3"))
    assert (
        import_checkpoint(folder)
        .facts["fold"]
        .startswith("fold_0, checkpoint_final.pth; also in the folder: fold_3")
    )
    assert import_checkpoint(folder, part="3").facts["fold"].startswith("fold_3")
    with pytest.raises(ModelError, match="It has: fold_0, fold_3"):
        import_checkpoint(folder, part="fold_7")


def test_a_file_of_a_fold_has_its_plans(tmp_path, unets):
    given = architecture("PlainConvUNet", 2)
    folder = results(tmp_path, build(unets, given), *plans_of(given, 2))
    moved = tmp_path / "model.pth"
    (folder / "fold_0" / "checkpoint_final.pth").rename(moved)
    assert import_checkpoint(moved).model.plan.data.label_table.names == tuple(LABELS)


@pytest.mark.parametrize(
    ("changes", "dataset", "words"),
    [
        ({"normalization_schemes": ["RescaleTo01Normalization"]}, {}, "RescaleTo01Normalization"),
        ({"previous_stage": "3d_lowres"}, {}, "cascade"),
        ({}, {"labels": {"background": 0, "whole": [1, 2], "core": 2}}, "regions that overlap"),
        ({}, {"labels": {"background": 0, "a": 1, "b": 3}}, "values 0 to 2"),
    ],
)
def test_what_limner_cannot_predict_is_refused(tmp_path, unets, changes, dataset, words):
    given = architecture("PlainConvUNet", 3)
    plans, name = plans_of(given, 3, configuration=changes)
    folder = results(tmp_path, build(unets, given), plans, name, dataset={**DATASET, **dataset})
    with pytest.raises(ModelError, match=words):
        import_checkpoint(folder)


def test_a_folder_without_folds_is_refused(tmp_path):
    (tmp_path / "plans.json").write_text("{}")
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(ModelError, match="no trained fold"):
        import_checkpoint(tmp_path)


def test_all_folds_become_models_that_predict_together(tmp_path, unets):
    given = architecture("PlainConvUNet", 2)
    folder = results(
        tmp_path, build(unets, given), *plans_of(given, 2), folds=("fold_0", "fold_3", "fold_all")
    )
    line = ["import", str(folder), "--out", str(tmp_path / "model"), "--part", "folds", "--verify"]
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 0, result.output
    models = [tmp_path / "model" / fold for fold in ("fold_0", "fold_3")]
    assert sorted((tmp_path / "model").iterdir()) == models
    assert f"limner predict {models[0]} {models[1]} IMAGES" in result.output
    assert isinstance(joined_predictor(open_members(models, device="cpu")), Ensemble)
    with pytest.raises(ModelError, match="no folds to import"):
        nnunet_folds(tmp_path)


def test_verification_takes_the_fold_that_was_imported(tmp_path, unets):
    given = architecture("PlainConvUNet", 2)
    folder = results(tmp_path, build(unets, given), *plans_of(given, 2), folds=("fold_0", "fold_3"))
    other = folder / "fold_3" / "checkpoint_final.pth"
    content = torch.load(other, weights_only=False)
    weights = content["network_weights"]
    content["network_weights"] = {name: 1.5 * tensor for name, tensor in weights.items()}
    torch.save(content, other)
    assert verify_import(import_checkpoint(folder, part="3")).difference < 1e-3
