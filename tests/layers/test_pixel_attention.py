import pytest
import torch

from limner.layers.pixel_attention import attend


@pytest.mark.parametrize("scale", [None, 1.0])
def test_each_pixel_mixes_the_values_by_likeness(scale):
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 4, 3, 5, generator=generator)
    key, value = torch.randn(2, 4, 7, generator=generator), torch.randn(2, 6, 7, generator=generator)
    found = attend(query, key, value, scale=scale)
    assert found.shape == (2, 6, 3, 5)
    for y in range(3):
        for x in range(5):
            alike = torch.einsum("bd,bdn->bn", query[:, :, y, x], key) * (scale or 4**-0.5)
            expected = torch.einsum("bn,ben->be", alike.softmax(dim=1), value)
            torch.testing.assert_close(found[:, :, y, x], expected)
