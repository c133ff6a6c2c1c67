import torch
import torch.nn.functional as F

from limner.losses.points import sample_at, sample_masks_at, uncertain_points


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_point_between_pixels_is_their_mean():
    row = torch.tensor([[[[1.0, 3.0]]]])  # pixel centres at x = 0.25 and 0.75
    points = torch.tensor([[[0.25, 0.5], [0.5, 0.5], [0.0, 0.5]]])
    # On the outer edge half of what is seen lies outside, and counts as 0.
    assert sample_at(row, points).flatten().tolist() == [1.0, 2.0, 0.5]


def test_binary_masks_are_sampled_as_floats_are():
    masks = torch.rand(3, 7, 5, generator=generator()) > 0.5
    points = torch.rand(3, 40, 2, generator=generator(1))
    expected = F.grid_sample(masks[:, None].float(), 2 * points[:, None] - 1, align_corners=False)[:, 0, 0]
    torch.testing.assert_close(sample_masks_at(masks, points), expected)
    torch.testing.assert_close(sample_masks_at(masks, points[0])[0], expected[0])
    assert sample_masks_at(masks[:0], points[0]).shape == (0, 40)


def test_masks_are_sampled_a_few_at_a_time(monkeypatch):
    masks = torch.rand(5, 7, 5, generator=generator()) > 0.5
    points = torch.rand(5, 40, 2, generator=generator(1))
    whole, shared = sample_masks_at(masks, points), sample_masks_at(masks, points[0])
    monkeypatch.setattr("limner.losses.points._CHUNK_PIXELS", 70)
    torch.testing.assert_close(sample_masks_at(masks, points), whole)
    torch.testing.assert_close(sample_masks_at(masks, points[0]), shared)


def test_sampling_commutes_with_the_product_over_channels():
    embeddings = torch.randn(1, 6, 4, generator=generator())
    features = torch.randn(1, 4, 8, 9, generator=generator(1))
    points = torch.rand(1, 50, 2, generator=generator(2))
    naive = sample_at(torch.einsum("bqc,bchw->bqhw", embeddings, features), points)
    torch.testing.assert_close(embeddings @ sample_at(features, points), naive)


def test_points_are_drawn_where_a_mask_is_uncertain():
    # Scores rise from -4 to 4 from left to right: uncertain in the middle.
    maps = torch.linspace(-4, 4, 64).expand(2, 16, 64)
    options = {"num_points": 100, "oversample": 3.0, "generator": generator()}
    points = uncertain_points(maps, importance=0.75, **options)
    assert points.shape == (2, 100, 2)
    # The 75 most uncertain of 300 uniform ones lie in about the middle quarter.
    assert (points[:, :75, 0] - 0.5).abs().max() < 0.2
    assert (points[:, 75:, 0] - 0.5).abs().max() > 0.4
    assert not torch.equal(points[0], points[1])


def test_the_generator_decides_the_points():
    maps = torch.randn(3, 8, 8, generator=generator())
    options = {"num_points": 20, "oversample": 2.0, "importance": 0.5}
    first = uncertain_points(maps, generator=generator(4), **options)
    assert torch.equal(first, uncertain_points(maps, generator=generator(4), **options))
    torch.manual_seed(4)
    assert torch.equal(first, uncertain_points(maps, **options))
