import torch

from limner.layers.resize import cut, pad_to_multiple


def test_cutting_keeps_the_beginning_and_copies_nothing():
    features = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    part = cut(features, (3, 5))
    assert torch.equal(part, features[:, :, :3])
    assert part.data_ptr() == features.data_ptr()
    assert cut(torch.zeros(1, 1, 4, 4, 4), (1, 2, 3)).shape == (1, 1, 1, 2, 3)


def test_padding_reaches_multiples_with_zeros_at_the_end():
    features = torch.ones(1, 1, 3, 4, 5)
    assert pad_to_multiple(features, 4).shape == (1, 1, 4, 4, 8)
    padded = pad_to_multiple(features, (1, 2, 3))
    assert padded.shape == (1, 1, 3, 4, 6)
    assert torch.equal(cut(padded, (3, 4, 5)), features)
    assert padded[..., 5:].abs().sum() == 0
