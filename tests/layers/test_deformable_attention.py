import math

import pytest
import torch

from limner.layers.deformable_attention import DeformableAttention, sum_of_samples

SIZES = [(2, 3), (4, 5)]
PIXELS = 2 * 3 + 4 * 5


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def arguments(*, batch=2, queries=3, heads=2, width=4, points=2, dtype=torch.float32):
    values = draw(batch, PIXELS, heads, width, dtype=dtype)
    locations = 0.5 + 0.5 * draw(batch, queries, heads, 2, points, 2, seed=1, dtype=dtype)  # some lie outside
    weights = draw(batch, queries, heads, 2, points, seed=2, dtype=dtype)
    return values, locations, weights


def one_by_one(values, locations, weights):
    """The formula, a point and a neighbouring pixel at a time."""
    batch, queries, heads, levels, points, _ = locations.shape
    result = torch.zeros(batch, queries, heads, values.shape[-1], dtype=values.dtype)
    starts = [0, SIZES[0][0] * SIZES[0][1]]
    for b in range(batch):
        for q in range(queries):
            for h in range(heads):
                for level in range(levels):
                    height, width = SIZES[level]
                    for p in range(points):
                        x = locations[b, q, h, level, p, 0].item() * width - 0.5
                        y = locations[b, q, h, level, p, 1].item() * height - 0.5
                        for row in (math.floor(y), math.floor(y) + 1):
                            for column in (math.floor(x), math.floor(x) + 1):
                                if not (0 <= row < height and 0 <= column < width):
                                    continue
                                share = (1 - abs(x - column)) * (1 - abs(y - row))
                                pixel = values[b, starts[level] + row * width + column, h]
                                result[b, q, h] += weights[b, q, h, level, p] * share * pixel
    return result.flatten(2)


def test_equals_the_formula():
    found = sum_of_samples(*arguments(), SIZES)
    torch.testing.assert_close(found, one_by_one(*arguments()), atol=1e-5, rtol=1e-5)


def test_gradients():
    inputs = [
        tensor.requires_grad_() for tensor in arguments(batch=1, queries=2, width=2, dtype=torch.float64)
    ]
    assert torch.autograd.gradcheck(lambda *tensors: sum_of_samples(*tensors, SIZES), inputs)


def test_half_precision_is_computed_in_full():
    values, locations, weights = arguments()
    found = sum_of_samples(values.bfloat16(), locations, weights, SIZES)
    expected = sum_of_samples(values.bfloat16().float(), locations, weights, SIZES)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, atol=2e-2, rtol=1e-2)


def test_at_first_each_head_looks_in_a_direction_of_its_own():
    layer = DeformableAttention(8, heads=4, levels=1, points=2)
    # Right, down, left, up; the second point twice as far as the first.
    expected = [[[1, 0], [2, 0]], [[0, 1], [0, 2]], [[-1, 0], [-2, 0]], [[0, -1], [0, -2]]]
    torch.testing.assert_close(layer.sampling_offsets.bias.view(4, 2, 2), torch.tensor(expected).float())


@pytest.mark.parametrize("levels", [1, 2])
def test_references_are_shared_by_levels_or_not(levels):
    layer = DeformableAttention(8, heads=2, levels=2, points=2)
    queries, memory = draw(1, 3, 8), draw(1, PIXELS, 8, seed=1)
    references = torch.full((1, 3, levels, 2), 0.5)
    expected = layer(queries, memory, torch.full((1, 3, 2, 2), 0.5), SIZES)
    torch.testing.assert_close(layer(queries, memory, references, SIZES), expected)
