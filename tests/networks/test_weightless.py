"""Networks without weights have the shapes of real ones, and cost no import of PyTorch's decompositions."""

import subprocess
import sys

import torch

from limner.networks import build_network
from limner.networks.weightless import weightless

WITHOUT_DECOMPOSITIONS = """
import sys
from limner.networks import build_network
from limner.networks.weightless import weightless
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


def test_the_usual_networks_need_no_decompositions_to_be_built():
    subprocess.run([sys.executable, "-c", WITHOUT_DECOMPOSITIONS], check=True)
