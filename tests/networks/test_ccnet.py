import torch

from limner.networks.ccnet import criss_cross_attention


def test_each_pixel_mixes_its_row_and_column_and_itself_once():
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(2, 3, 4, 5, generator=generator) for _ in range(2))
    value = torch.randn(2, 6, 4, 5, generator=generator)
    found = criss_cross_attention(query, key, value)
    for y in range(4):
        for x in range(5):
            cross = sorted({(y, other) for other in range(5)} | {(other, x) for other in range(4)})
            alike = torch.stack([(query[:, :, y, x] * key[:, :, i, j]).sum(1) for i, j in cross]).softmax(0)
            expected = sum(a[:, None] * value[:, :, i, j] for a, (i, j) in zip(alike, cross, strict=True))
            torch.testing.assert_close(found[:, :, y, x], expected)
