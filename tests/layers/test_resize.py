import torch

from limner.layers.resize import cut


def test_cutting_keeps_the_beginning_and_copies_nothing():
    features = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    part = cut(features, (3, 5))
    assert torch.equal(part, features[:, :, :3])
    assert part.data_ptr() == features.data_ptr()
    assert cut(torch.zeros(1, 1, 4, 4, 4), (1, 2, 3)).shape == (1, 1, 1, 2, 3)
