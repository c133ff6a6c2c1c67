import pytest
import torch

from limner.networks import build_network


@pytest.mark.parametrize("num_classes", [1, 2, 4, 5, 6])
def test_the_decoder_can_be_narrower_than_its_five_dilations(num_classes):
    network = build_network("espnet", num_classes=num_classes, blocks=(0, 0)).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 40, 35)).logits.shape == (1, num_classes, 40, 35)


def test_dilations_above_one_are_summed_from_the_nearest():
    block = build_network("espnet", num_classes=2).down2
    image = torch.randn(1, 19, 32, 32)
    with torch.no_grad():
        reduced = block.reduce(image)
        parts = [branch(reduced) for branch in block.branches]
        # section 3.2 of the paper, hierarchical feature fusion; the output of dilation 1 stays alone
        sums = [parts[0], parts[1], parts[1] + parts[2], sum(parts[1:4]), sum(parts[1:5])]
        torch.testing.assert_close(block(image), block.close(torch.cat(sums, dim=1)))
