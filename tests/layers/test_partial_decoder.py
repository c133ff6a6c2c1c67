import torch

from limner.layers.partial_decoder import PartialDecoder


def test_the_scores_have_the_size_of_the_finest_map():
    decoder = PartialDecoder(4, 3)
    maps = [torch.randn(2, 4, side, side + 1) for side in (3, 5, 9)]
    assert decoder(*maps).shape == (2, 3, 9, 10)


def test_a_map_of_zeros_silences_the_products():
    # Without biases or norms, the fine map takes part only in the product with the coarser ones.
    decoder = PartialDecoder(4, 2, norm="none").eval()
    deep, middle, fine = (torch.randn(1, 4, side, side) for side in (2, 4, 8))
    silent = decoder(deep, middle, torch.zeros_like(fine))
    torch.testing.assert_close(
        decoder(deep, torch.zeros_like(middle), fine), silent_middle(decoder, deep, fine)
    )
    assert not torch.allclose(decoder(deep, middle, fine), silent)


def silent_middle(decoder, deep, fine):
    """The decoder with a middle map of zeros, in the plainest form: only the deep map gets through."""

    def up(features, side):
        return torch.nn.functional.interpolate(features, size=side, mode="bilinear", align_corners=True)

    beside = decoder.deep_beside_middle(up(deep, 4))
    coarse = decoder.join_middle(torch.cat((torch.zeros_like(beside), beside), dim=1))
    coarse = decoder.coarse_beside_fine(up(coarse, 8))
    return decoder.head(decoder.last(decoder.join_fine(torch.cat((torch.zeros_like(fine), coarse), dim=1))))
