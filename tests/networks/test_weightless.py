"""Networks without weights have the shapes of real ones, and building networks imports nothing slow."""

import subprocess
import sys

import torch

from limner.networks import build_network
from limner.networks.weightless import uninitialized, weightless

WITHOUT_TIMM_AND_DECOMPOSITIONS = """
import sys
from limner.networks import build_network
from limner.networks.weightless import uninitialized, weightless
assert "torch.utils.flop_counter" not in sys.modules
build_network("encoder-unet", num_classes=2, backbone="resnet18")
assert "timm" not in sys.modules
for name in ('unet', 'encoder-unet', 'segformer', 'pspnet', 'deeplabv3plus', 'upernet'):
    with weightless():
        build_network(name, num_classes=2, pretrained="no")
    assert "torch._dynamo" not in sys.modules, name
"""


def test_shapes_are_those_of_a_real_network():
    with weightless():
        shapes = build_network("segformer", num_classes=3, pretrained="no").state_dict()
    real = build_network("segformer", num_classes=3, pretrained="no").state_dict()
    assert {n: t.shape for n, t in shapes.items()} == {n: t.shape for n, t in real.items()}
    assert all(tensor.is_meta for tensor in shapes.values())


def test_random_numbers_are_drawn_again_afterwards():
    with weightless():
        pass
    assert torch.empty(100).normal_().std() > 0.5


def test_our_own_networks_need_neither_timm_nor_decompositions_to_be_built():
    subprocess.run([sys.executable, "-c", WITHOUT_TIMM_AND_DECOMPOSITIONS], check=True)


def test_what_is_loaded_next_is_not_drawn_before():
    with uninitialized():
        layer = torch.nn.Linear(300, 200)
        before = torch.get_rng_state()
        torch.nn.Linear(300, 200), torch.nn.Conv3d(1, 2, 3)
        assert torch.equal(torch.get_rng_state(), before)
        torch.nn.init.trunc_normal_(layer.weight, std=0.5, a=-0.5, b=0.5)  # draws until all are within
    assert layer.weight.abs().max() <= 0.5
