import torch

from limner.networks.caranet import _AxialAttention


def attention(axis, *, turns=True):
    torch.manual_seed(0)
    layer = _AxialAttention(16, axis=axis, turns=turns).eval()
    layer.gamma.data.fill_(0.7)
    return layer


def test_columns_are_the_rows_of_the_turned_image():
    image = torch.randn(2, 16, 5, 7)
    turned = attention("width")(image.transpose(2, 3)).transpose(2, 3)
    torch.testing.assert_close(attention("height")(image), turned)


def test_the_released_code_attends_along_rows_twice_on_square_images():
    image = torch.randn(2, 16, 6, 6)
    torch.testing.assert_close(attention("height", turns=False)(image), attention("width")(image))


def test_rows_against_plain_loops():
    layer, image = attention("width"), torch.randn(1, 16, 3, 4)
    query, key, value = (part(image)[0] for part in (layer.query, layer.key, layer.value))
    expected = image[0].clone()
    for x in range(4):
        for other in range(4):
            # one weight for a pair of columns, shared by all rows
            weight = torch.sigmoid((query[:, :, x] * key[:, :, other]).sum())
            expected[:, :, x] += 0.7 * weight * value[:, :, other]
    torch.testing.assert_close(layer(image)[0], expected)
