"""Stages for a patch and a spacing: by hand, and as nnU-Net plans them."""

import random

import pytest
import torch

from limner.core.outputs import DenseLogits
from limner.networks import build_network
from limner.networks.nnunet_topology import plan_topology


def test_cubes_are_halved_along_all_axes():
    # 64 -> 32 -> 16 -> 8 -> 4: four halvings, since 4 is the smallest map.
    topology = plan_topology((64, 64, 64), (1, 1, 1))
    assert topology.strides == ((1, 1, 1), *((2, 2, 2),) * 4)
    assert topology.kernels == ((3, 3, 3),) * 5
    assert topology.features == (32, 64, 128, 256, 320)
    assert topology.divisors == (16, 16, 16)


def test_thick_slices_are_halved_later_and_convolved_later():
    # 4 mm against 1 mm: the slices are halved alone until they are less than twice as thick.
    topology = plan_topology((16, 64, 64), (4, 1, 1))
    assert topology.strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2))
    # (4, 1, 1), (4, 2, 2) and (4, 4, 4) mm: only the last is less than twice as thick.
    assert [kernel[0] for kernel in topology.kernels] == [1, 1, 3, 3, 3]


def test_the_patch_is_enlarged_to_multiples():
    topology = plan_topology((40, 56, 40), (1, 1, 1))
    # 40 -> 20 -> 10 -> 5, 56 -> 28 -> 14 -> 7: three halvings.
    assert topology.patch == (40, 56, 40)
    assert plan_topology((41, 56, 40), (1, 1, 1)).patch == (48, 56, 40)


def test_2d_has_more_features():
    assert plan_topology((256, 256), (1, 1)).features == (32, 64, 128, 256, 512, 512, 512)


@pytest.mark.parametrize("name", ["nnunet", "nnunet-resenc"])
def test_the_options_build_a_network(name):
    topology = plan_topology((8, 32, 32), (3, 1, 1), base_features=4)
    network = build_network(name, num_classes=2, in_channels=1, **topology.options()).eval()
    with torch.no_grad():
        outputs = network(torch.randn(1, 1, *topology.patch))
    assert isinstance(outputs, DenseLogits)
    assert outputs.logits.shape[2:] == topology.patch


@pytest.mark.peer
def test_nnunet_plans_the_same():
    module = pytest.importorskip(
        "nnunetv2.experiment_planning.experiment_planners.network_topology", reason="nnU-Net is not installed"
    )
    draws = random.Random(0)
    for _ in range(300):
        dims = draws.choice((2, 3))
        patch = [draws.randint(3, 300) for _ in range(dims)]
        spacing = [round(draws.uniform(0.3, 6), 2) for _ in range(dims)]
        topology = plan_topology(patch, spacing)
        _, strides, kernels, enlarged, divisors = module.get_pool_and_conv_props(spacing, patch, 4, 999999)
        assert topology.strides == tuple(map(tuple, strides))
        assert topology.kernels == tuple(map(tuple, kernels))
        assert topology.patch == tuple(map(int, enlarged))
        assert topology.divisors == tuple(map(int, divisors))


@pytest.mark.peer
def test_the_count_of_map_elements_is_nnunets():
    unets = pytest.importorskip(
        "dynamic_network_architectures.architectures.unet",
        reason="dynamic-network-architectures is not installed",
    )
    for patch, spacing in (((32, 64, 48), (1, 1, 1)), ((8, 64, 64), (4, 1, 1))):
        topology = plan_topology(patch, spacing, base_features=4)
        count = len(topology.features)
        theirs = unets.PlainConvUNet(
            1, count, topology.features, torch.nn.Conv3d, topology.kernels, topology.strides, 2, 3, 2
        )
        assert topology.map_elements(num_classes=3) == theirs.compute_conv_feature_map_size(topology.patch)
