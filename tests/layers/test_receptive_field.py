import torch
from torch import nn

from limner.layers.receptive_field import ReceptiveFieldBlock


def test_a_pixel_sees_as_far_as_the_widest_chain():
    # The widest chain: 1x7 and 7x1 reach 3 pixels, 3x3 at dilation 7 reaches 7, the joining 3x3 one: 11.
    block = ReceptiveFieldBlock(1, 1).eval()
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)
    image = torch.zeros(1, 1, 41, 41)
    image[0, 0, 20, 20] = 1
    seen = block(image)[0, 0] > 0
    assert seen[20].nonzero().flatten().tolist()[:1] == [20 - 11]
    assert seen[:, 20].nonzero().flatten().tolist()[-1:] == [20 + 11]
    assert block(image).shape == image.shape
