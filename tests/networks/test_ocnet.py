import pytest
import torch

from limner.networks import build_network
from limner.networks.ocnet import ObjectAttention
from limner.networks.weightless import weightless

TINY = {"backbone": "resnet18_width16", "channels": 16}


@pytest.mark.parametrize("arrangement", ["base", "atrous", "pyramid"])
@pytest.mark.parametrize("size", [(33, 40), (97, 65)])
def test_every_arrangement_trains_on_one_image_of_any_size(arrangement, size):
    network = build_network("ocnet", num_classes=3, arrangement=arrangement, **TINY).train()
    outputs = network(torch.randn(1, 3, *size))
    (outputs.logits.square().mean() + outputs.auxiliary[0].logits.square().mean()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("arrangement", ["atrous", "pyramid"])
def test_parameters_by_hand(arrangement):
    # From network/resnet101_{asp,pyramid}_oc.py of the authors, layer by layer.
    def conv(narrow, wide, side=1, *, bias=True, norm=True):
        return narrow * wide * side**2 + bias * wide + norm * 2 * wide

    stem = conv(2048, 512, 3) + conv(512, 19, norm=False)
    by_hand = {
        "atrous": conv(512, 256, 3)
        + conv(256, 128)
        + 2 * conv(256, 256, norm=False)
        + conv(256, 256)
        + conv(512, 256, bias=False)
        + 3 * conv(512, 256, 3, bias=False)
        + conv(1280, 512, bias=False),
        "pyramid": 4 * (conv(512, 256) + 2 * conv(512, 512, norm=False)) + conv(512, 2048) + conv(4096, 512),
    }
    with weightless():
        network = build_network(
            "ocnet", num_classes=19, backbone="resnet50s", arrangement=arrangement, auxiliary=False
        )
    head = sum(p.numel() for name, p in network.named_parameters() if not name.startswith("backbone."))
    assert head == stem + by_hand[arrangement]


def test_pixels_of_a_partition_see_their_own_part():
    attention = ObjectAttention(4, compared=2, values=3, partition=2).eval()
    images = torch.randn(1, 4, 5, 7)
    changed = images.clone()
    changed[:, :, 2:, 3:] += 1  # the last part takes the rest: rows 2 to 4, columns 3 to 6
    with torch.no_grad():
        moved = (attention(images) - attention(changed)).abs().sum(dim=1)[0] > 1e-6
    expected = torch.zeros(5, 7, dtype=torch.bool)
    expected[2:, 3:] = True
    assert torch.equal(moved, expected)
