import pytest
import torch
from torch import nn

from limner.layers.norm import FrozenBatchNorm2d, TolerantBatchNorm2d, TolerantBatchNorm3d, build_norm
from limner.networks import build_network


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (2, 3, 1, 1), (4, 3, 2, 2)])
def test_batches_with_a_variance_are_treated_as_pytorch_does(shape):
    ours, reference = TolerantBatchNorm2d(3), nn.BatchNorm2d(3)
    images = torch.randn(shape)
    torch.testing.assert_close(ours(images), reference(images))
    torch.testing.assert_close(ours.running_mean, reference.running_mean)
    torch.testing.assert_close(ours.running_var, reference.running_var)


@pytest.mark.parametrize(
    ("kind", "shape"), [(TolerantBatchNorm2d, (1, 2, 1, 1)), (TolerantBatchNorm3d, (1, 2, 1, 1, 1))]
)
def test_one_value_a_channel_uses_the_running_statistics(kind, shape):
    norm = kind(2, eps=0.0).train()
    norm.running_mean.copy_(torch.tensor([1.0, 2.0]))
    norm.running_var.copy_(torch.tensor([4.0, 9.0]))
    values = torch.tensor([5.0, 8.0]).reshape(shape).requires_grad_()
    # (5 - 1) / sqrt(4) = 2 and (8 - 2) / sqrt(9) = 2
    assert norm(values).flatten().tolist() == [2.0, 2.0]
    norm(values).sum().backward()
    assert values.grad.flatten().tolist() == pytest.approx([1 / 2, 1 / 3])
    assert norm.running_mean.tolist() == [1.0, 2.0]
    assert norm.num_batches_tracked == 0


def test_pytorch_would_have_stopped():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm2d(2).train()(torch.zeros(1, 2, 1, 1))


def test_it_still_counts_as_batch_normalisation_for_pytorch():
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(TolerantBatchNorm2d(2)))
    assert isinstance(converted[0], nn.SyncBatchNorm)


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (12, 4), (3, 1), (1, 1)])
def test_groups_always_divide_the_channels(channels, groups):
    assert build_norm("group", channels).num_groups == groups


@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (2, 4, 1, 1), (1, 4, 3, 5), (2, 4, 2, 2)])
def test_groups_of_one_value_are_zero_whatever_the_batch(shape):
    norm = build_norm("group", 4, groups=4)
    torch.nn.init.constant_(norm.bias, 0.5)
    x = torch.randn(shape)
    expected = nn.functional.group_norm(torch.cat([x, x]), 4, norm.weight, norm.bias)[: len(x)]
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize("affine", [True, False])
def test_single_pixels_pass_instance_norm(affine):
    x = torch.randn(1, 4, 1, 1)
    norm = build_norm("instance", 4, affine=affine)
    assert torch.equal(norm(x), x)
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        nn.InstanceNorm2d(4, affine=affine)(x)


@pytest.mark.parametrize("side", [1, 9, 16])
def test_small_images_pass_narrow_networks(side):
    """The U-Net of short runs halves an image four times."""
    images = torch.randn(1, 3, side, side)
    for name, options in (
        ("unet", {"widths": (4, 4, 4, 4, 4), "norm": "instance"}),
        ("fcos", {"backbone": "resnet18_width16", "channels": 8, "head_convs": 1}),
    ):
        network = build_network(name, num_classes=2, pretrained="no", **options)
        for mode in (False, True):
            outputs = network.train(mode)(images)
            scores = outputs.logits if name == "unet" else outputs.class_logits
            assert scores.numel() and scores.isfinite().all()


def test_names():
    assert isinstance(build_norm("none", 4), nn.Identity)
    assert isinstance(build_norm("instance", 4, spatial_dims=3), nn.InstanceNorm3d)
    assert list(build_norm("batch", 4, affine=False).parameters()) == []


@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_of_one_voxel_keeps_its_value(affine):
    """One value has no variance; PyTorch refuses it."""
    norm = build_norm("instance", 2, spatial_dims=3, affine=affine)
    features = torch.tensor([3.0, -1.0]).view(1, 2, 1, 1, 1)
    assert torch.equal(norm(features), features)


def test_a_frozen_norm_has_the_gradient_of_batch_normalisation_and_keeps_no_input():
    norm = nn.BatchNorm2d(3).double()
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        nn.init.uniform_(tensor, 0.5, 2)
    frozen, kept = FrozenBatchNorm2d(norm), []
    x = torch.randn(2, 3, 9, 7, dtype=torch.float64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        found = frozen(x)
    expected = norm.eval()(x)
    assert torch.equal(found, expected)
    weights = torch.randn_like(found)
    (gradient,) = torch.autograd.grad((found * weights).sum(), x)
    (other,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(gradient, other)
    assert sum(kept) == 2 * 3
