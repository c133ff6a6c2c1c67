import torch

from limner.networks import build_network


def test_levels_are_fused_all_at_once_by_the_papers_equation():
    network = build_network("gff", num_classes=2, backbone="resnet18_width16", channels=3).eval()
    generator = torch.Generator().manual_seed(0)
    # Equal sizes, so that nothing is resized and the equation can be written down as it is.
    maps = tuple(torch.randn(1, width, 4, 5, generator=generator) for width in (16, 32, 64, 128))
    with torch.no_grad():
        found = network._fuse(maps)
        gates = [torch.sigmoid(gate(x)) for gate, x in zip(network.gates, maps, strict=True)]
        levels = [reduction(x) for reduction, x in zip(network.reductions, maps, strict=True)]
    for one in range(4):
        received = sum(gates[i] * levels[i] for i in range(4) if i != one)
        expected = (1 + gates[one]) * levels[one] + (1 - gates[one]) * received
        torch.testing.assert_close(found[one], expected)


def test_scores_have_the_resolution_of_the_finest_level():
    network = build_network("gff", num_classes=2, backbone="resnet18_width16", channels=4).train()
    outputs = network(torch.randn(1, 3, 65, 33))
    assert outputs.logits.shape == (1, 2, 17, 9)
    assert [side.logits.shape for side in outputs.auxiliary] == [(1, 2, 9, 5)]
