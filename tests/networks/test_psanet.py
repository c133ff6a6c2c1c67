import pytest
import torch

from limner.core.errors import ConfigError
from limner.networks import build_network
from limner.networks.psanet import place_masks


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(3, 4, 5, 7), (5, 4, 3, 7), (4, 1, 7, 1)])
def test_masks_are_moved_to_the_places_they_are_about(height, width, rows, columns):
    masks = torch.randn(2, rows, columns, height, width, dtype=torch.float64, requires_grad=True)
    expected = torch.zeros(2, height * width, height * width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            for i in range(rows):
                for j in range(columns):
                    to_y, to_x = y + i - rows // 2, x + j - columns // 2
                    if 0 <= to_y < height and 0 <= to_x < width:
                        expected[:, y * width + x, to_y * width + to_x] = masks[:, i, j, y, x].detach()

    found = place_masks(masks)
    assert torch.equal(found.detach(), expected)
    found.sum().backward()
    # Each entry that has a place in the map is counted once.
    assert masks.grad.sum() == (expected != 0).sum()


def test_a_smaller_crop_uses_the_middle_of_the_masks():
    network = build_network("psanet", num_classes=2, backbone="resnet18_width16", channels=8, mask_size=9)
    network.train()(torch.randn(2, 3, 33, 33)).logits.square().sum().backward()
    # A map of 5 x 5 is shrunk to 3 x 3, whose pixels see at most two further each way: 5 x 5 of 9 x 9.
    reached = network.context[0].collect.masks.weight.grad.abs().sum(dim=(1, 2, 3)).reshape(9, 9) > 0
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[2:7, 2:7] = True
    assert torch.equal(reached, expected)


def test_a_mask_without_a_middle_is_refused():
    with pytest.raises(ConfigError, match=r"mask_size.*must be odd"):
        build_network("psanet", num_classes=2, mask_size=8)
