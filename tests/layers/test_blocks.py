import pytest
from torch import nn

from limner.layers.blocks import find_blocks, num_gathered, num_parameters


class Block(nn.Module):
    """A layer of 4 x 4 weights, of which a linear layer is a child."""

    def __init__(self, width=4):
        super().__init__()
        self.layer = nn.Linear(width, width, bias=False)

    def forward(self, x):
        return x + self.layer(x)


class Tower(nn.Module):
    """16 + 6 x 16 + 16 parameters, or more blocks."""

    def __init__(self, blocks):
        super().__init__()
        self.stem, self.blocks, self.head = nn.Linear(4, 4, bias=False), blocks, nn.Linear(4, 4, bias=False)


def test_repeated_parts_with_layers_of_their_own_are_blocks():
    tower = Tower(nn.ModuleList(Block() for _ in range(6)))
    assert find_blocks(tower) == list(tower.blocks)
    # outside: stem and head, 32; and two blocks of 16
    assert num_gathered(tower) == 64


def test_single_layers_and_what_others_may_take_apart_are_not():
    layers = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(6)))
    assert find_blocks(Tower(layers)) == []
    stages = nn.ModuleList(nn.Sequential(Block(), Block()) for _ in range(3))
    assert find_blocks(Tower(stages)) == [block for stage in stages for block in stage]


def test_large_parts_are_divided_where_they_have_blocks_inside():
    class Stage(nn.Module):
        def __init__(self, *blocks):
            super().__init__()
            self.blocks = nn.ModuleList(blocks)

    # of 32 + 4 x 16 + 16 = 112 parameters, the first stage has 64, more than a quarter, and the second 16
    stages = nn.ModuleList([Stage(*(Block() for _ in range(4))), Stage(Block())])
    assert find_blocks(Tower(stages)) == [*stages[0].blocks, stages[1]]
    # a block of 400 has none inside
    large = Block(20)
    assert find_blocks(Tower(nn.ModuleList([large]))) == [large]


def test_parts_that_share_a_parameter_with_others_are_not_blocks():
    tied, again, alone = Block(), Block(), Block()
    again.layer.weight = tied.layer.weight
    assert find_blocks(Tower(nn.ModuleList([tied, again, alone]))) == [alone]
    assert find_blocks(Tower(nn.ModuleList([tied, tied, alone]))) == [alone]


def test_tiny_parts_are_not_blocks():
    tower = Tower(nn.ModuleList([Block(100), Block(100), Block()]))  # 16 of 20048
    assert find_blocks(tower) == list(tower.blocks)[:2]
    assert num_gathered(tower) == num_parameters(tower)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_with_two_blocks_or_fewer_all_is_gathered(count):
    tower = Tower(nn.ModuleList(Block() for _ in range(count)))
    assert num_gathered(tower) == num_parameters(tower) == 32 + 16 * count
