import pytest
import torch

from limner.core.errors import ConfigError
from limner.networks import build_network


def test_values_return_to_where_their_maximum_was():
    network = build_network("segnet", num_classes=1, in_channels=1, widths=(1,), convs=(1,)).eval()
    for conv in (network.encoder[0][0].conv, network.head.conv):
        torch.nn.init.dirac_(conv.weight)
    image = torch.tensor([[1.0, 2, 0, 5, 9], [4, 3, 6, 0, 9], [9, 9, 9, 9, 9]])
    found = network(image[None, None]).logits[0, 0] * (1 + 1e-5) ** 0.5  # what the norm's epsilon took
    # each 2x2 window keeps its maximum in place; the odd last row and column are in no window
    expected = torch.tensor([[0.0, 0, 0, 0, 0], [4, 0, 6, 0, 0], [0, 0, 0, 0, 0]])
    torch.testing.assert_close(found, expected)


def test_blocks_must_agree():
    with pytest.raises(ConfigError, match="found 2 widths and 1 convs"):
        build_network("segnet", num_classes=2, widths=(4, 8), convs=(1,))
