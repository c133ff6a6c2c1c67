"""Whole tensors in one process; `test_distributed.py` divides models between two."""

import pytest
import torch
from torch import nn

from limner.core.errors import ConfigError
from limner.training.sharded_model import (
    gather_whole,
    gathered_weights,
    is_sharded,
    load_whole,
    local_part,
    shard,
    without_weights,
)

CPU = torch.device("cpu")


def tied_network():
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    network[2].weight = network[0].weight
    network.register_buffer("apart", torch.tensor(2.0), persistent=False)
    return network


def test_a_copy_has_no_weights_except_inside_the_block():
    network = tied_network()
    images = torch.randn(5, 3)
    network(images)  # moves the statistics
    copied = without_weights(network, CPU)
    assert all(parameter.is_meta for parameter in copied.parameters())
    assert len(list(copied.parameters())) == 5 and not copied.training
    with gathered_weights(copied, held_by=network):
        assert torch.equal(copied(images), network.eval()(images))
        assert copied.apart == 2
    assert all(parameter.is_meta for parameter in copied.parameters())
    network[0].bias.data += 1
    with gathered_weights(copied, held_by=network):
        assert torch.equal(copied(images), network(images))


def test_a_whole_tensor_is_the_part_of_a_process_alone():
    tensor = torch.ones(3)
    assert not is_sharded(tensor)
    assert gather_whole(tensor) is local_part(tensor) is tensor
    network = tied_network()
    load_whole(network, {name: torch.zeros_like(value) for name, value in network.state_dict().items()})
    assert not network[0].weight.any()
    with pytest.raises(RuntimeError, match="unknown"):
        load_whole(network, network.state_dict() | {"unknown": tensor})


def test_single_numbers_cannot_be_divided():
    network = tied_network()
    network.gamma = nn.Parameter(torch.tensor(0.0))
    with pytest.raises(ConfigError, match=r"single numbers: gamma(.|\n)*train\.sharding=none"):
        shard(network, CPU)
